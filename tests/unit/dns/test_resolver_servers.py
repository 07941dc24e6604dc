"""Servers that are silent, refuse, cut off or are not there."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace

import pytest

from gatepost.dns import resolver as resolver_module
from gatepost.dns import servers as servers_module
from gatepost.dns.answer import Answer, Outcome
from gatepost.dns.resolver import Resolver
from gatepost.dns.servers import AVOIDED_SECONDS, REREAD_SECONDS
from tests.harness.clock import Seconds
from tests.harness.dns_server import DnsServer
from tests.unit.dns.support import LOOPS, ZONE, ask, run, settings


@pytest.mark.parametrize("loop", LOOPS)
def test_silence_is_a_timeout_and_takes_no_longer_than_allowed(silent: DnsServer, loop: str) -> None:
    async def timed() -> tuple[Answer, float]:
        started = asyncio.get_running_loop().time()
        answer = await ask(settings(silent, timeout=1.5), "example.org")
        return answer, asyncio.get_running_loop().time() - started

    before = silent.count()
    answer, seconds = run(timed(), loop)
    assert answer.outcome is Outcome.TIMEOUT
    assert answer.detail == f"no answer from {silent.address}"
    assert 1.4 < seconds < 10
    assert silent.count() - before == 2


def test_a_lost_packet_is_sent_again() -> None:
    lost: list[bytes] = []

    def lose_first(query: bytes, tcp: bool) -> list[bytes] | None:
        lost.append(query)
        return [] if len(lost) == 1 else None

    with DnsServer(ZONE) as server:
        server.responder = lose_first
        assert run(ask(settings(server, timeout=3), "example.org")).outcome is Outcome.FOUND
        assert server.count() == 2


@pytest.mark.parametrize(
    "word", ["TIMEOUT", "SERVFAIL", "REFUSED", "REFERRAL", "GARBAGE", "FORMERR", "TRUNCATE_TCP"]
)
def test_the_next_server_answers_for_one_in_trouble(served: DnsServer, word: str) -> None:
    with DnsServer({"*": [word]}) as broken:
        answer = run(ask(settings(broken, served, timeout=3), "example.org"))
    assert answer.outcome is Outcome.FOUND


def test_one_server_refuses_and_the_other_is_silent(served: DnsServer, silent: DnsServer) -> None:
    answer = run(ask(settings(served, silent, timeout=2), "refused.example.org"))
    assert (answer.outcome, answer.detail) == (Outcome.SERVFAIL, f"{served.address}: REFUSED")


def test_a_refusal_is_not_asked_for_twice(served: DnsServer) -> None:
    before = served.count()
    run(ask(settings(served), "servfail.example.org"))
    assert served.count() == before + 1


def test_nobody_listens() -> None:
    with DnsServer() as server:
        configuration = settings(server)
    answer = run(ask(configuration, "example.org"))
    assert answer.outcome is Outcome.TIMEOUT
    assert "refused" in answer.detail.lower()


def test_a_silent_server_is_avoided_for_a_while(served: DnsServer) -> None:
    async def dialogue(silent: DnsServer) -> list[int]:
        clock = Seconds()
        resolver = Resolver(settings(silent, served, timeout=3), clock=clock)
        counts = []
        for name, pause in (
            ("a.example.org", 0.0),
            ("b.example.org", 0.0),
            ("c.example.org", AVOIDED_SECONDS),
        ):
            clock.now += pause
            assert (await resolver.lookup(name, "A")).outcome is Outcome.NXDOMAIN
            counts.append(silent.count())
        return counts

    with DnsServer({"*": ["TIMEOUT"]}) as silent:
        assert run(dialogue(silent)) == [1, 1, 2]


def test_ipv6_servers_over_udp_and_tcp() -> None:
    with DnsServer(ZONE, host="::1") as server:
        for name in ("example.org", "truncated.example.org"):
            assert run(ask(settings(server), name)).outcome is Outcome.FOUND


def test_no_server_until_the_network_is_up(
    served: DnsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "resolv.conf"
    monkeypatch.setattr(resolver_module, "RESOLV_CONF", file)
    here = servers_module.server(served.host, served.port)  # the file can name no port
    monkeypatch.setattr(servers_module, "system_servers", lambda path: [here] * len(path.read_text().split()))
    clock = Seconds()

    async def scenario() -> None:
        resolver = Resolver(settings(), clock=clock)
        answer = await resolver.lookup("mail.example.org", "A")
        assert answer.outcome is Outcome.SERVFAIL
        assert answer.detail == f"no usable nameserver in {file}"
        file.write_text("nameserver")
        clock.now += REREAD_SECONDS
        assert (await resolver.lookup("mail.example.org", "A")).outcome is Outcome.FOUND
        await resolver.close()

    run(scenario())


def test_a_server_that_is_no_address() -> None:
    configuration = settings().model_copy(
        update={"nameservers": [SimpleNamespace(host="localhost", port=53)]}
    )
    answer = run(ask(configuration, "example.org"))
    assert answer.outcome is Outcome.SERVFAIL
    assert "localhost" in answer.detail
