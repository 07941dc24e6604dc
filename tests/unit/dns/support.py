"""What the tests of this room share: settings, a zone, a question, and both event loops."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import uvloop

from gatepost.config.addresses import HostAndPort
from gatepost.config.sections import Dns
from gatepost.dns.answer import Answer
from gatepost.dns.resolver import Resolver
from tests.harness.dns_server import DnsServer, ZoneData
from tests.harness.waiting import PATIENCE

Result = TypeVar("Result")

LOOPS = ("asyncio", "uvloop")

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


def settings(*servers: DnsServer, **others: Any) -> Dns:
    nameservers = [HostAndPort(each.host, each.port) for each in servers]
    return Dns(**{"nameservers": nameservers, "timeout": PATIENCE, "message_timeout": PATIENCE, **others})


def run(coroutine: Coroutine[Any, Any, Result], loop: str = "asyncio") -> Result:
    factory = uvloop.new_event_loop if loop == "uvloop" else asyncio.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(coroutine)


async def ask(configuration: Dns, name: str, rdtype: str = "TXT", **others: Any) -> Answer:
    async with Resolver(configuration, **others) as resolver:
        return await resolver.lookup(name, rdtype)
