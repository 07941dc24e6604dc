"""No nameserver answers: that is said once, and so is its end."""

from __future__ import annotations

import pytest

from gatepost.config.addresses import HostAndPort
from gatepost.dns.answer import Answer, Outcome
from gatepost.dns.outage import UNANSWERED, Outage
from gatepost.dns.resolver import Resolver
from tests.harness.ports import LOOPBACK, free_port
from tests.unit.dns.support import run, settings

SILENCE = Answer(Outcome.TIMEOUT, detail="no answer from 192.0.2.53:53")
ANSWERS = [Answer(Outcome.FOUND, ("x",)), Answer(Outcome.NXDOMAIN), Answer(Outcome.SERVFAIL, detail="lame")]


def test_it_is_told_once() -> None:
    told: list[str] = []
    outage = Outage(told.append)
    for _ in range(UNANSWERED - 1):
        outage.note(SILENCE)
    assert told == []
    for _ in range(50):
        outage.note(SILENCE)
    assert len(told) == 1
    assert told[0].startswith("the DNS does not answer: no answer from 192.0.2.53:53: ")
    for _ in range(50):
        outage.note(ANSWERS[0])
    assert told[1:] == ["the DNS answers again"]


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_between_is_enough(answer: Answer) -> None:
    told: list[str] = []
    outage = Outage(told.append)
    for _ in range(50):
        for _ in range(UNANSWERED - 1):
            outage.note(SILENCE)
        outage.note(answer)
    assert told == []


@pytest.mark.parametrize("server", [HostAndPort(LOOPBACK, free_port()), HostAndPort("no-address", 53)])
def test_the_resolver_tells(server: HostAndPort) -> None:
    told: list[str] = []

    async def scene() -> None:
        resolver = Resolver(settings(nameservers=[server]), complain=told.append)
        for number in range(2 * UNANSWERED):
            await resolver.lookup(f"{number}.example.org", "TXT")
        await resolver.close()

    run(scene())
    assert len(told) == 1
    assert "the DNS does not answer: " in told[0]
