"""What is answered without asking: what is kept, and for how long, and fixed answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatepost.dns.answer import Answer, Outcome
from gatepost.dns.resolver import Resolver
from gatepost.dns.zone import parse_zone
from tests.harness.clock import Seconds
from tests.harness.dns_server import DnsServer, ZoneData
from tests.harness.waiting import PATIENCE
from tests.unit.dns.support import ZONE, ask, run, settings

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
        patience = 0.1 if "TIMEOUT" in TTLS[name] else PATIENCE
        resolver = Resolver(settings(server, timeout=patience), clock=clock)
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
