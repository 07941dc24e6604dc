"""Parts of the server that are away for a while, under traffic: no mail is lost, and none slips in."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import pytest

from tests.harness.daemon import Daemon
from tests.harness.process import Process
from tests.harness.smtp import RefusedError
from tests.harness.trouble import trouble
from tests.harness.waiting import wait_for
from tests.pipeline.accounts import Accounts
from tests.pipeline.server import LAYOUTS, Server
from tests.pipeline.servers.amavis import AT_ONCE
from tests.pipeline.world import SPOOFED, World, acquaint, bring

RATES = {"A": 2.0, "B": 1.0}
"""New mails a second, with which Amavis can keep up. Before the queue, it sees a mail again each time it is put off."""

SHORT, LONG = 4.0, 60.0
"""Seconds for which a part is away at least; LONG with --long."""

MEANWHILE = 6
"""Mails at least that are sent while the part is away."""

# As an administrator has it who does not want mail without a verdict.
_NO_VERDICT_NO_ENTRY = {
    "    mode: enforce\n": "    mode: enforce\n    on_temperror: tempfail\n",
    "    mode: stamp\n": "    mode: stamp\n    on_temperror: tempfail\n",
    "    #on_fail: accept      # what DMARC is for\n": "    on_temperror: tempfail\n",
}


@dataclass(frozen=True)
class Fault:
    """A part that goes away.

    *told* is what senders of good mail hear meanwhile; where it is "", they notice nothing, and
    *waits* is why mail is in the queue. *spoofed* is the code for a mail that must not come in.
    So many mails as are *in_hand* there may come twice: passed on when the part went away, which
    Postfix was not told any more (RFC 1047).
    """

    part: str
    spoofed: int
    told: str = ""
    waits: str = ""
    in_hand: int = 0

    def __str__(self) -> str:
        return self.part


_MILTER = "Service unavailable"
_POLICY = "Server configuration problem"
AFTER_THE_QUEUE = [
    Fault("dkim-verify", 451, told=_MILTER),
    Fault("dmarc-enforce", 451, told=_MILTER),
    Fault("spf", 451, told=_POLICY),
    Fault("greylist", 451, told=_POLICY),
    Fault("dmarc-stamp", 550, waits=_MILTER),
    Fault("dkim-sign", 550, waits=_MILTER),
    Fault("amavis", 550, waits="Connection refused", in_hand=AT_ONCE),
    Fault("dns", 451, told="cannot be evaluated now"),
]
BEFORE_THE_QUEUE = [
    Fault("dmarc-enforce", 451, told=_MILTER),
    Fault("amavis", 451, told="queue file write error", in_hand=2 * AT_ONCE),
]


@pytest.fixture(scope="module")
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """The whole server; nobody remembers the DNS for long, so that its absence is felt."""
    layout = LAYOUTS[request.param]
    with Server(replace(layout, changes={**layout.changes, **_NO_VERDICT_NO_ENTRY}), ttl=1) as running:
        yield running


def part(server: Server, name: str) -> Sequence[Daemon | Process]:
    """The processes of a part."""
    if name == "amavis":
        return server.amavis
    return [server.dns if name == "dns" else server.gatepost[name]]


def told(world: World) -> int:
    """The code that a spoofed mail gets."""
    with pytest.raises(RefusedError) as refused:
        bring(world.mail(0, world.kind(SPOOFED)))
    return refused.value.reply.code


@pytest.fixture
def seconds(request: pytest.FixtureRequest) -> float:
    """For how long a part is away."""
    return LONG if request.config.getoption("--long") else SHORT


@pytest.mark.parametrize("server", ["A"], indirect=True)
@pytest.mark.parametrize("fault", AFTER_THE_QUEUE, ids=str)
def test_a_part_is_away(server: Server, fault: Fault, seconds: float) -> None:
    goes_away(server, fault, seconds)


@pytest.mark.parametrize("server", ["B"], indirect=True)
@pytest.mark.parametrize("fault", BEFORE_THE_QUEUE, ids=str)
def test_a_part_is_away_before_the_queue(server: Server, fault: Fault, seconds: float) -> None:
    goes_away(server, fault, seconds)


def goes_away(server: Server, fault: Fault, seconds: float) -> None:
    """Take the part away for *seconds* and let it come back, under traffic of which nothing may be lost."""
    world = World(server)
    acquaint(world)
    with Accounts(server, world, RATES[server.layout.name]) as accounts:
        wait_for(lambda: accounts.settled() > 2, "the first mails", 60)
        away = part(server, fault.part)
        begin, sent, logged = time.monotonic(), accounts.books.sent, len(server.mx.log())

        def felt() -> bool:
            heard = any(fault.told in text for text in accounts.books.put_off)
            return heard if fault.told else fault.waits in server.mx.log()[logged:]

        def over() -> bool:
            return time.monotonic() > begin + seconds and accounts.books.sent >= sent + MEANWHILE and felt()

        for each in away:
            each.stop()
        try:
            wait_for(over, f"the absence of {fault.part}", seconds + 60)
            assert told(world) == fault.spoofed
        finally:
            for each in away:
                each.start()
        accounts.settle()
    assert told(world) == 550
    assert accounts.problems(fault.in_hand) == []
    assert (server.queue(), server.outside.queue()) == ([], [])
    for daemon in server.gatepost.daemons.values():
        assert trouble(daemon.log()) == []
