from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from gatepost.config.sections import Dns
from gatepost.dns import resolver as resolver_module
from gatepost.dns import servers as servers_module
from gatepost.dns.answer import Answer, Outcome
from gatepost.dns.resolver import Resolver
from gatepost.dns.servers import AVOIDED_SECONDS, REREAD_SECONDS
from gatepost.dns.zone import parse_zone
from tests.harness.clock import Seconds
from tests.harness.dns_server import DnsServer, ZoneData
from tests.unit.dns.support import LOOPS, run, settings

LONG = "x" * 3000

ZONE: ZoneData = {
    "example.org": [
        {"TXT": ["v=spf1 ", "-all"]},
        {"TXT": "other"},
        {"MX": [10, "a.org"]},
        {"MX": [5, "b.org"]},
    ],
    "mail.example.org": [{"A": "192.0.2.2"}, {"A": "192.0.2.1"}, {"AAAA": "2001:db8::1"}],
    "1.2.0.192.in-addr.arpa": [{"PTR": "mail.example.org"}],
    "www.example.org": [{"CNAME": "mail.example.org"}],
    "dead.example.org": [{"CNAME": "nothing.example.org"}],
    "out.example.org": [{"CNAME": "mail.example.org"}],
    "loop.example.org": [{"CNAME": "pool.example.org"}],
    "pool.example.org": [{"CNAME": "loop.example.org"}],
    **{f"c{link}.example.org": [{"CNAME": f"c{link + 1}.example.org"}] for link in range(9)},
    "c9.example.org": [{"TXT": "end"}],
    "signed.example.org": ["AD", {"TXT": "x"}],
    "secure.example.org": ["AD", {"CNAME": "example.org"}],
    "truncated.example.org": ["TRUNCATE", {"TXT": "x"}],
    "long.example.org": [{"TXT": LONG}],
    "longest.example.org": [{"TXT": "y" * 64_000}],
    "hopeless.example.org": ["TRUNCATE_TCP", {"TXT": "x"}],
    "cut.example.org": ["CUT_TCP", {"TXT": LONG}],
    "wrong-id.example.org": ["WRONG_ID", {"TXT": "x"}],
    "wrong-question.example.org": ["WRONG_QUESTION", {"TXT": "x"}],
    "garbage.example.org": ["GARBAGE"],
    "old.example.org": ["NO_EDNS", {"TXT": "x"}],
    "older.example.org": ["BARE_FORMERR", {"TXT": "x"}],
    "oldest.example.org": ["FORMERR"],
    "servfail.example.org": ["SERVFAIL"],
    "refused.example.org": ["REFUSED"],
    "lame.example.org": ["REFERRAL"],
    "nodata.example.org": ["NODATA"],
    "late.example.org": [{"DELAY": 0.05}, {"TXT": "x"}],
}


@pytest.fixture(scope="module")
def served() -> Iterator[DnsServer]:
    with DnsServer(ZONE) as server:
        yield server


@pytest.fixture(scope="module")
def silent() -> Iterator[DnsServer]:
    with DnsServer({"*": ["TIMEOUT"]}) as server:
        yield server


async def ask(configuration: Dns, name: str, rdtype: str = "TXT", **others: Any) -> Answer:
    resolver = Resolver(configuration, **others)
    try:
        return await resolver.lookup(name, rdtype)
    finally:
        await resolver.close()


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


# Servers in trouble.


@pytest.mark.parametrize("loop", LOOPS)
def test_silence_is_a_timeout_and_takes_no_longer_than_allowed(silent: DnsServer, loop: str) -> None:
    async def timed() -> tuple[Answer, float]:
        started = asyncio.get_running_loop().time()
        answer = await ask(settings(silent, timeout=0.3), "example.org")
        return answer, asyncio.get_running_loop().time() - started

    before = silent.count()
    answer, seconds = run(timed(), loop)
    assert answer.outcome is Outcome.TIMEOUT
    assert answer.detail == f"no answer from {silent.address}"
    assert 0.29 < seconds < 2
    assert silent.count() - before == 2


def test_a_lost_packet_is_sent_again() -> None:
    lost: list[bytes] = []

    def lose_first(query: bytes, tcp: bool) -> list[bytes] | None:
        lost.append(query)
        return [] if len(lost) == 1 else None

    with DnsServer(ZONE) as server:
        server.responder = lose_first
        assert run(ask(settings(server, timeout=0.6), "example.org")).outcome is Outcome.FOUND
        assert server.count() == 2


@pytest.mark.parametrize(
    "word", ["TIMEOUT", "SERVFAIL", "REFUSED", "REFERRAL", "GARBAGE", "FORMERR", "TRUNCATE_TCP"]
)
def test_the_next_server_answers_for_one_in_trouble(served: DnsServer, word: str) -> None:
    with DnsServer({"*": [word]}) as broken:
        answer = run(ask(settings(broken, served, timeout=0.6), "example.org"))
    assert answer.outcome is Outcome.FOUND


def test_one_server_refuses_and_the_other_is_silent(served: DnsServer, silent: DnsServer) -> None:
    answer = run(ask(settings(served, silent, timeout=0.2), "refused.example.org"))
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
        resolver = Resolver(settings(silent, served, timeout=1.2), clock=clock)
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


# What is kept, and for how long.

TTLS: ZoneData = {
    "a.org": [{"TXT": "x"}, {"TTL": 300}],
    "day.org": [{"TXT": "x"}, {"TTL": 86400}],
    "zero.org": [{"TXT": "x"}, {"TTL": 0}],
    "chain.org": [{"CNAME": "a.org"}, {"TTL": 40}],
    "none.org": ["NODATA", {"SOA": [900, 60]}],
    "no.org": ["NXDOMAIN", {"SOA": [30, 60]}],
    "long-no.org": ["NXDOMAIN", {"SOA": [86400, 86400]}],
    "bare-no.org": ["NXDOMAIN", "NO_SOA"],
    "bad.org": ["SERVFAIL"],
    "silent.org": ["TIMEOUT"],
}


@pytest.mark.parametrize("chase", [True, False])
@pytest.mark.parametrize(
    ("name", "seconds"),
    [
        ("a.org", 300),
        ("day.org", 3600),
        ("zero.org", 0),
        ("chain.org", 40),
        ("none.org", 60),
        ("no.org", 30),
        ("long-no.org", 300),
        ("bare-no.org", 0),
        ("bad.org", 0),
        ("silent.org", 0),
    ],
)
def test_answers_are_kept_for_their_ttl(name: str, seconds: int, chase: bool) -> None:
    async def dialogue() -> None:
        clock = Seconds()
        resolver = Resolver(settings(server, timeout=0.1), clock=clock)
        assert resolver.cached(name, "TXT") is None
        answer = await resolver.lookup(name, "TXT")
        if seconds:
            clock.now += seconds - 0.1
            assert resolver.cached(name.upper() + ".", "TXT") is answer
            assert await resolver.lookup(name, "TXT") is answer
            clock.now += 0.1
        assert resolver.cached(name, "TXT") is None

    with DnsServer(TTLS, chase=chase) as server:
        run(dialogue())


def test_other_letters_do_not_find_what_is_kept(served: DnsServer) -> None:
    async def dialogue() -> None:
        resolver = Resolver(settings(served))
        await resolver.lookup("k.example.org", "A")
        assert resolver.cached("K.example.org", "A") is not None
        assert resolver.cached("\u212a.example.org", "A") is None

    run(dialogue())


def test_no_cache() -> None:
    async def dialogue() -> None:
        resolver = Resolver(settings(server, cache_size=0))
        for _ in range(3):
            assert (await resolver.lookup("example.org", "TXT")).outcome is Outcome.FOUND

    with DnsServer(ZONE) as server:
        run(dialogue())
        assert server.count() == 3


# Fixed answers.

FIXED = """
fixed.org: [{TXT: fixed}]
in.org: [{CNAME: fixed.org}]
out.org: [{CNAME: example.org}]
circle.org: [{CNAME: back.org}]
slow.org: [TIMEOUT]
"""


@pytest.mark.parametrize(
    ("name", "with_server", "without"),
    [
        ("fixed.org", Outcome.FOUND, Outcome.FOUND),
        ("Fixed.ORG.", Outcome.FOUND, Outcome.FOUND),
        ("in.org", Outcome.FOUND, Outcome.FOUND),
        ("out.org", Outcome.FOUND, Outcome.NXDOMAIN),
        ("circle.org", Outcome.SERVFAIL, Outcome.NXDOMAIN),
        ("slow.org", Outcome.TIMEOUT, Outcome.TIMEOUT),
        ("example.org", Outcome.FOUND, Outcome.NXDOMAIN),
        ("back.org", Outcome.FOUND, Outcome.NXDOMAIN),
        ("org", Outcome.NXDOMAIN, Outcome.NXDOMAIN),
    ],
)
def test_fixed_answers_come_first(name: str, with_server: Outcome, without: Outcome) -> None:
    zone = parse_zone(FIXED)
    served: ZoneData = {
        "example.org": [{"TXT": "x"}],
        "fixed.org": [{"TXT": "served"}],
        "back.org": [{"CNAME": "circle.org"}],
        "circle.org": [{"TXT": "x"}],
    }
    with DnsServer(served, chase=False) as server:
        answer = run(ask(settings(server), name, zone=zone))
        # Only what the server itself follows escapes the file; here it follows nothing.
        expected = Outcome.SERVFAIL if name == "back.org" else with_server
        assert answer.outcome is expected
        assert b"served" not in answer.records
    assert run(ask(settings(), name, zone=zone)).outcome is without


def test_fixed_answers_are_at_hand_and_cost_nothing(tmp_path: Path) -> None:
    resolver = Resolver(settings(), zone=parse_zone(FIXED))
    answer = resolver.cached("FIXED.org.", "TXT")
    assert answer == Answer(Outcome.FOUND, (b"fixed",))
    assert resolver.cached("out.org", "TXT") is None


def test_what_the_observer_sees(served: DnsServer) -> None:
    events: list[object] = []

    class Observer:
        def query(self, rdtype: str, outcome: Outcome, seconds: float) -> None:
            assert 0 <= seconds < 2
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
