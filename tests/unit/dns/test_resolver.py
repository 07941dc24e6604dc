"""What a resolver makes of the answers of a server."""

from __future__ import annotations

import socket
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from gatepost.dns.answer import Outcome
from gatepost.dns.resolver import Resolver
from tests.harness.dns_server import DnsServer, ZoneData
from tests.harness.waiting import PATIENCE
from tests.unit.dns.support import LONG, LOOPS, ZONE, ask, run, settings


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize(
    ("name", "rdtype", "outcome", "records"),
    [
        ("example.org", "TXT", Outcome.FOUND, (b"v=spf1 -all", b"other")),
        ("EXAMPLE.org.", "MX", Outcome.FOUND, ((10, "a.org"), (5, "b.org"))),
        ("mail.example.org", "A", Outcome.FOUND, ("192.0.2.2", "192.0.2.1")),
        ("mail.example.org", "AAAA", Outcome.FOUND, ("2001:db8::1",)),
        ("1.2.0.192.in-addr.arpa", "PTR", Outcome.FOUND, ("mail.example.org",)),
        ("www.example.org", "CNAME", Outcome.FOUND, ("mail.example.org",)),
        ("www.example.org", "A", Outcome.FOUND, ("192.0.2.2", "192.0.2.1")),
        ("www.example.org", "MX", Outcome.NODATA, ()),
        ("nodata.example.org", "A", Outcome.NODATA, ()),
        ("dead.example.org", "A", Outcome.NXDOMAIN, ()),
        ("no.example.org", "A", Outcome.NXDOMAIN, ()),
        ("loop.example.org", "A", Outcome.SERVFAIL, ()),
        ("c1.example.org", "TXT", Outcome.FOUND, (b"end",)),
        ("c0.example.org", "TXT", Outcome.SERVFAIL, ()),
        ("truncated.example.org", "TXT", Outcome.FOUND, (b"x",)),
        ("long.example.org", "TXT", Outcome.FOUND, (LONG.encode(),)),
        ("longest.example.org", "TXT", Outcome.FOUND, (b"y" * 64_000,)),
        ("hopeless.example.org", "TXT", Outcome.SERVFAIL, ()),
        ("cut.example.org", "TXT", Outcome.SERVFAIL, ()),
        ("wrong-id.example.org", "TXT", Outcome.FOUND, (b"x",)),
        ("wrong-question.example.org", "TXT", Outcome.FOUND, (b"x",)),
        ("garbage.example.org", "TXT", Outcome.SERVFAIL, ()),
        ("old.example.org", "TXT", Outcome.FOUND, (b"x",)),
        ("older.example.org", "TXT", Outcome.FOUND, (b"x",)),
        ("oldest.example.org", "TXT", Outcome.SERVFAIL, ()),
        ("servfail.example.org", "TXT", Outcome.SERVFAIL, ()),
        ("refused.example.org", "TXT", Outcome.SERVFAIL, ()),
        ("lame.example.org", "TXT", Outcome.SERVFAIL, ()),
        ("late.example.org", "TXT", Outcome.FOUND, (b"x",)),
    ],
)
def test_answers(
    served: DnsServer, name: str, rdtype: str, outcome: Outcome, records: tuple[object, ...], loop: str
) -> None:
    answer = run(ask(settings(served), name, rdtype), loop)
    assert (answer.outcome, answer.records) == (outcome, records)
    assert bool(answer.detail) is (outcome is Outcome.SERVFAIL)
    assert "\n" not in answer.detail


@pytest.mark.parametrize(
    "name", ["", ".", "a..b", "a" * 64 + ".org", ".".join(["a" * 63] * 4), "bücher.org", "\u212aelvin.org"]
)
def test_invalid_names_do_not_exist_and_are_not_asked_for(served: DnsServer, name: str) -> None:
    before = served.count()
    answer = run(ask(settings(served), name))
    assert answer.outcome is Outcome.NXDOMAIN
    assert answer.detail
    assert served.count() == before


def test_other_types_are_not_asked_for(served: DnsServer) -> None:
    before = served.count()
    assert run(ask(settings(served), "example.org", "ANY")).outcome is Outcome.SERVFAIL
    assert served.count() == before


@pytest.mark.parametrize(
    ("name", "authentic"),
    [("signed.example.org", True), ("example.org", False), ("secure.example.org", True)],
)
def test_the_ad_bit_is_passed_on(served: DnsServer, name: str, authentic: bool) -> None:
    assert run(ask(settings(served), name)).authentic is authentic


def test_an_answer_is_as_authentic_as_its_least_authentic_part() -> None:
    zone: ZoneData = {"a.org": ["AD", {"CNAME": "b.org"}], "b.org": [{"TXT": "x"}]}
    with DnsServer(zone, chase=False) as server:
        answer = run(ask(settings(server), "a.org"))
    assert (answer.records, answer.authentic) == ((b"x",), False)


@pytest.mark.parametrize(
    ("name", "outcome", "queries"),
    [
        ("www.example.org", Outcome.FOUND, 2),
        ("dead.example.org", Outcome.NXDOMAIN, 2),
        ("loop.example.org", Outcome.SERVFAIL, 2),
        ("c1.example.org", Outcome.NODATA, 9),
        ("c0.example.org", Outcome.SERVFAIL, 9),
    ],
)
def test_cnames_that_the_server_leaves_to_us(name: str, outcome: Outcome, queries: int) -> None:
    with DnsServer(ZONE, chase=False) as server:
        assert run(ask(settings(server), name, "A")).outcome is outcome
        assert server.count() == queries


def test_queries_have_edns_and_ad_and_are_hard_to_guess(served: DnsServer) -> None:
    async def many() -> None:
        resolver = Resolver(settings(served))
        for number in range(20):
            await resolver.lookup(f"n{number}.example.net", "A")

    before = served.count()
    run(many())
    seen = served.queries[before:]
    assert {(each.edns, each.payload, each.flags) for each in seen} == {(True, 1232, 0x0120)}
    assert len({each.source_port for each in seen}) > 10
    assert len({each.ident for each in seen}) > 10


def test_the_second_try_is_without_edns(served: DnsServer) -> None:
    before = served.count()
    run(ask(settings(served), "old.example.org"))
    assert [each.edns for each in served.queries[before:]] == [True, False]


def test_packets_from_elsewhere_are_ignored(served: DnsServer) -> None:
    """The answer that an attacker sends from another port does not arrive."""
    attacker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def inject(query: bytes, tcp: bool) -> list[bytes] | None:
        forged = query[:2] + b"\x81\x83" + query[4:10] + b"\x00\x00" + query[12:-11]
        attacker.sendto(forged, ("127.0.0.1", served.queries[-1].source_port))
        return None

    served.responder = inject
    try:
        assert run(ask(settings(served), "example.org")).outcome is Outcome.FOUND
    finally:
        served.responder = None
        attacker.close()


@given(st.lists(st.binary(max_size=60), max_size=3), st.booleans())
@hypothesis_settings(max_examples=40, deadline=None)
def test_random_answers_never_raise(served: DnsServer, rests: list[bytes], over_tcp: bool) -> None:
    def respond(query: bytes, tcp: bool) -> list[bytes]:
        if over_tcp and not tcp:
            return [query[:2] + b"\x83\x80" + query[4:10] + b"\x00\x00" + query[12:-11]]
        whole = [
            query[:2] + b"\x81\x80" + query[4:6] + rest[:6].ljust(6, b"\0") + query[12:-11] + rest
            for rest in rests
        ]
        return [*rests, *whole]

    served.responder = respond
    try:
        answer = run(ask(settings(served, timeout=0.03), "fuzz.example.org"))
    finally:
        served.responder = None
    assert answer.outcome in Outcome


def test_what_the_observer_sees(served: DnsServer) -> None:
    events: list[object] = []

    class Observer:
        def query(self, rdtype: str, outcome: Outcome, seconds: float) -> None:
            assert 0 <= seconds < PATIENCE
            events.append((rdtype, outcome))

        def cache(self, hit: bool) -> None:
            events.append(hit)

    async def dialogue() -> None:
        resolver = Resolver(settings(served), observer=Observer())
        resolver.cached("example.org", "TXT")
        await resolver.lookup("example.org", "TXT")
        resolver.cached("example.org", "TXT")
        await resolver.lookup("example.org", "TXT")
        await resolver.lookup("a..b", "TXT")
        await resolver.lookup("no.example.org", "A")

    run(dialogue())
    assert cast(list[Any], events) == [
        False, ("TXT", Outcome.FOUND), True, True, False, ("A", Outcome.NXDOMAIN),
    ]  # fmt: skip
