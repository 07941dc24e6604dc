"""The DMARC daemon before a DNS that is slow, dead or lying: bounded time, bounded questions, a defined result."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from gatepost.authres.border import Border
from gatepost.authres.strip import Ids
from gatepost.config.dmarc_settings import Dmarc
from gatepost.config.sections import Dns
from gatepost.config.types import HostAndPort
from gatepost.dkim.verifier import Verifier
from gatepost.dkim.verify import Policy
from gatepost.dmarc.evaluate import TREE_WALK
from gatepost.dns.answer import Answer, Outcome
from gatepost.dns.budget import Budget
from gatepost.dns.resolver import Resolver
from gatepost.message import Envelope, Message
from gatepost.suffixes import public_suffix_test
from milters.dmarc import DmarcHandler, Tools
from milters.handler import Verdict
from tests.harness.dns_server import DnsServer
from tests.harness.log_file import LogFile
from tests.harness.mail import parse
from tests.harness.waiting import PATIENCE
from tests.unit.daemons.dmarc_support import (
    ANNA,
    DOMAIN,
    ELSEWHERE,
    SIGNED,
    ZoneResolver,
    action,
    dmarc,
    result,
    told,
)
from tests.unit.daemons.support import (
    ID,
    SEALER,
    STRANGER,
    common,
    networks,
    run,
)
from tests.unit.dkim.support import MESSAGE, craft, record, rsa_key

Zone = Mapping[str, Sequence[str | Mapping[str, Any]]]

TIMEOUT, MESSAGE_TIMEOUT = 0.5, 1.5
"""What is allowed where somebody says nothing."""
MORE = 5.0
"""Seconds for everything but waiting, on a busy machine."""
"""Seconds that the machine may take beside."""

REJECT = {"TXT": "v=DMARC1; p=reject"}
KEY: Zone = {"mail._domainkey.example.nl": [{"TXT": record(rsa_key()).decode()}]}
LONG_NAME = ".".join("a" * 118) + ".example.nl"


@dataclass
class Judged:
    """A message after the daemon: what was written, how long it took, and what was asked."""

    verdict: Verdict
    seconds: float
    names: list[str]

    @property
    def result(self) -> str:
        return told(self.verdict).partition("dmarc=")[2].split()[0]

    @property
    def walked(self) -> set[str]:
        """The names whose records were asked for; one may be asked for again, over TCP or elsewhere."""
        return {name for name in self.names if name.startswith("_dmarc.")}


@pytest.fixture
def server() -> Iterator[DnsServer]:
    with DnsServer() as server:
        yield server


def judge(
    server: DnsServer,
    log: LogFile,
    raw: bytes,
    *,
    timeout: float = PATIENCE,
    message_timeout: float = PATIENCE,
    body_takes: float = 0.0,
) -> Judged:
    """Take *raw* through an enforcing daemon that asks *server*; the body comes in *body_takes* seconds."""
    nameserver = HostAndPort(server.host, server.port)
    settings = Dns(nameservers=[nameserver], timeout=timeout, message_timeout=message_timeout)
    headers, body = parse(raw)
    sender = Envelope(STRANGER, helo=b"evil.example", mail_from=b"x@evil.example", macros={"i": "4ABC"})
    chosen = Dmarc.model_validate({"kind": "dmarc", "socket": ["inet:1@127.0.0.1"]})

    async def examined() -> tuple[Verdict, float]:
        resolver = Resolver(settings)
        tools = common(log.log) | {
            "border": Border(Ids(ID), SEALER, networks()),
            "sealer": SEALER,
            "removes_seals": False,
            "verifier": Verifier(
                Policy(is_public_suffix=public_suffix_test()), resolver, lambda: Budget(settings)
            ),
            "method": TREE_WALK,
            "history": None,
            "sample": lambda: 0.0,
        }
        examination = DmarcHandler("dmarc", chosen, Tools(**tools)).examine(Message(sender, headers))
        examination.body(body)
        await asyncio.sleep(body_takes)
        begun = time.monotonic()
        verdict = examination.finish()
        verdict = verdict if isinstance(verdict, Verdict) else await verdict
        seconds = time.monotonic() - begun
        await resolver.close()
        return verdict, seconds

    server.queries.clear()
    verdict, seconds = asyncio.run(examined())
    return Judged(verdict, seconds, [each.name for each in server.queries])


def author(domain: str) -> bytes:
    return MESSAGE.replace(b"From: Anna <anna@example.nl>", f"From:\n a@{domain}".encode())


_MANY = [{"TXT": f"text {number}"} for number in range(10_000)]

CASES: dict[str, tuple[Zone, bytes, str, str]] = {
    "nobody answers": ({"*": ["TIMEOUT"]}, SIGNED, "temperror", "accept"),
    "everything fails": ({"*": ["SERVFAIL"]}, SIGNED, "temperror", "accept"),
    "the policy's server says nothing": (
        {**KEY, "_dmarc.example.nl": ["TIMEOUT"]}, SIGNED, "temperror", "accept",
    ),
    "the answers are rubbish": ({"*": ["GARBAGE"]}, MESSAGE, "temperror", "accept"),
    "the key is slow, and the policy there": (
        {"mail._domainkey.example.nl": ["TIMEOUT"], "_dmarc.example.nl": [REJECT]}, SIGNED, "temperror", "accept",
    ),
    "slow but there": (
        {**KEY, "_dmarc.example.nl": [REJECT, {"DELAY": 0.1}]}, SIGNED, "pass", "accept",
    ),
    "SPF of the sender never ends": (
        {
            "_dmarc.example.nl": [REJECT],
            "evil.example": [{"TXT": "v=spf1 include:evil.example -all"}],
        }, MESSAGE, "fail", "reject",
    ),
    "SPF of the sender says nothing": (
        {"_dmarc.example.nl": [REJECT], "evil.example": ["TIMEOUT"]}, MESSAGE, "fail", "reject",
    ),
    "10,000 records beside it, more than an answer holds": (
        {"_dmarc.example.nl": [*_MANY, REJECT]}, MESSAGE, "temperror", "accept",
    ),
    "200 records beside it": ({"_dmarc.example.nl": [*_MANY[:200], REJECT]}, MESSAGE, "fail", "reject"),
    "200 DMARC records": (
        {"_dmarc.example.nl": [{"TXT": f"v=DMARC1; p=reject; n={n}"} for n in range(200)]},
        MESSAGE, "none", "accept",
    ),
    "a record of 60 kB": (
        {"_dmarc.example.nl": [{"TXT": "v=DMARC1; p=reject; n=" + "x" * 60_000}]}, MESSAGE, "none", "accept",
    ),
    "a record of 60 kB beside it": (
        {"_dmarc.example.nl": [{"TXT": "x" * 50_000}, REJECT]}, MESSAGE, "fail", "reject",
    ),
    "a CNAME loop": (
        {"_dmarc.example.nl": [{"CNAME": "a.example.nl"}], "a.example.nl": [{"CNAME": "_dmarc.example.nl"}]},
        MESSAGE, "temperror", "accept",
    ),
    "a record by a CNAME": (
        {"_dmarc.example.nl": [{"CNAME": "dmarc.provider.example"}], "dmarc.provider.example": [REJECT]},
        MESSAGE, "fail", "reject",
    ),
    "records at every level of a name of 120 labels": (
        {f"_dmarc.{LONG_NAME[start:]}": [REJECT] for start in range(0, 2 * 119, 2)},
        author(LONG_NAME), "fail", "reject",
    ),
    "a name of 120 labels without any": ({}, author(LONG_NAME), "none", "accept"),
    "ten signatures of subdomains of 60 labels, of which nobody answers": (
        {"_dmarc.example.nl": [REJECT], "*": ["TIMEOUT"]},
        b"".join(
            craft(MESSAGE, rsa_key(), d=f"{'b.' * n}{'c.' * 60}example.nl").removesuffix(MESSAGE)
            for n in range(10)
        ) + MESSAGE,
        "temperror", "accept",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_case(server: DnsServer, log: LogFile, name: str) -> None:
    zone, raw, result, action = CASES[name]
    server.zone = zone
    # An answer that cannot be written is none.
    if zone.get("_dmarc.example.nl") == [*_MANY, REJECT] or any("TIMEOUT" in each for each in zone.values()):
        judged = judge(server, log, raw, timeout=TIMEOUT, message_timeout=MESSAGE_TIMEOUT)
        assert judged.seconds < MESSAGE_TIMEOUT + MORE
    else:
        judged = judge(server, log, raw)
    assert (judged.result, judged.verdict.disposition.value) == (result, action)
    assert len(set(judged.names)) <= 40
    if "signatures" not in name:
        assert len(judged.walked) <= 8


def test_a_dead_server_is_not_asked_without_end(server: DnsServer, log: LogFile) -> None:
    server.zone = {"*": ["TIMEOUT"]}
    judged = judge(server, log, SIGNED, timeout=TIMEOUT, message_timeout=MESSAGE_TIMEOUT)
    # key, SPF, and the two names of the walk, each tried a few times
    assert len(set(judged.names)) == 4
    assert len(judged.names) <= 20


def test_a_domain_that_relates_to_ten_others_costs_one_walk_each(server: DnsServer, log: LogFile) -> None:
    """All ten pass and lie below the author's domain, so that all ten have to be looked at."""
    zone: dict[str, Sequence[str | Mapping[str, Any]]] = {"_dmarc.example.nl": [{"TXT": "v=DMARC1; p=none"}]}
    raw = MESSAGE
    for number in range(10):
        domain = f"{'b.' * 30}{number}.example.nl"
        zone[f"mail._domainkey.{domain}"] = [{"TXT": record(rsa_key()).decode()}]
        raw = craft(MESSAGE, rsa_key(), d=domain).removesuffix(MESSAGE) + raw
    server.zone = zone
    judged = judge(server, log, raw)
    assert judged.result == "pass"
    assert len(judged.walked) <= 8 * 11


def test_a_body_that_takes_its_time_takes_none_from_the_evaluation(server: DnsServer, log: LogFile) -> None:
    """What is asked with the header may last from its end; the questions about the policy, from the end of the body."""
    server.zone = {**KEY, "_dmarc.example.nl": [REJECT]}
    assert judge(server, log, SIGNED, message_timeout=1.0, body_takes=1.2).result == "pass"


def test_a_stranger_cannot_use_up_the_questions_about_the_policy(log: LogFile) -> None:
    """Signatures and MAIL FROM are his, and may cost what they may; the policy is still found."""

    class Spent(ZoneResolver):
        async def lookup(self, name: str, rdtype: str, budget: Any = None) -> Any:
            while name.endswith("list.example") and not budget.spend():
                pass
            assert budget is None or not name.startswith("_dmarc.") or budget.queries_left > 50
            return await super().lookup(name, rdtype, budget)

    daemon = dmarc(log)
    daemon.tools.verifier.resolver = Spent(DOMAIN, knows=False)  # type: ignore[assignment]
    assert action(run(daemon, MESSAGE, **ELSEWHERE)) == "reject"


def test_a_stranger_cannot_use_up_the_questions_about_the_sender_with_signatures(log: LogFile) -> None:
    """A check that fails must not become one that could not be made."""

    class Strict(ZoneResolver):
        async def lookup(self, name: str, rdtype: str, budget: Any = None) -> Any:
            return Answer(Outcome.TIMEOUT) if budget.spend() else await super().lookup(name, rdtype, budget)

    includes = " ".join(f"include:i{number}.example.nl" for number in range(10))
    zone = {**DOMAIN, "example.nl": f"v=spf1 {includes} -all"}
    zone |= {f"i{number}.example.nl": "v=spf1 ?all" for number in range(10)}
    daemon = dmarc(log)
    daemon.tools.verifier.resolver = Strict(zone, knows=False)  # type: ignore[assignment]
    daemon.tools.verifier.new_budget = lambda: Budget(Dns(message_queries=15))
    raw = MESSAGE
    for number in range(10):
        raw = craft(raw, rsa_key(), d=f"d{number}.example")
    verdict = run(daemon, raw, **ANNA, client_address="198.51.100.66")
    assert (action(verdict), result(verdict)) == ("reject", "fail")
