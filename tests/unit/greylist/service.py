"""The service without sockets: a request goes in, an action comes out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Any, TypeVar, cast

from gatepost.config.greylist_settings import Greylist
from gatepost.config.sections import Dns
from gatepost.config.types import SocketAddress
from gatepost.dns.answer import Answer, Outcome
from gatepost.dns.budget import Budget
from gatepost.dns.resolver import Resolver
from gatepost.metrics import Metrics
from gatepost.networks import Networks
from gatepost.spf.result import Identity, SpfResult, Verdict
from policy.greylist import AllowLists, GreylistHandler, Tools
from policy.greylisting.counts import Counts
from policy.greylisting.desk import Desk
from policy.greylisting.setup import read_lists, rules_of
from policy.greylisting.vouching import SpfVouching
from policy.handler import Request
from tests.harness.log_file import LogFile
from tests.harness.waiting import PATIENCE
from tests.unit.greylist.support import NOW, sqlite_store

Result = TypeVar("Result")

USUAL = {
    "protocol_state": "RCPT",
    "client_address": "192.0.2.10",
    "client_name": "mx.example.org",
    "helo_name": "mx.example.org",
    "sender": "alice@example.org",
    "recipient": "bob@example.net",
    "instance": "1.2.3",
}


def wait(seconds: int) -> str:
    return f"DEFER_IF_PERMIT 4.2.0 Greylisted, please try again in {seconds} seconds"


class FixedResolver:
    """Answers from a mapping, after a turn of the loop."""

    def __init__(self, answers: dict[str, Answer]) -> None:
        self._answers = answers
        self.questions: list[str] = []
        self.closed = False

    def cached(self, name: str, rdtype: str) -> Answer | None:
        assert rdtype == "A"
        return None

    async def lookup(self, name: str, rdtype: str, budget: Budget | None = None) -> Answer:
        self.questions.append(name)
        await asyncio.sleep(0)
        return self._answers.get(name, Answer(Outcome.NXDOMAIN))

    async def close(self) -> None:
        self.closed = True


class Site:
    """A service, its clock, and what SPF and DNS say."""

    def __init__(self, directory: Path, log: LogFile, **options: Any) -> None:
        self.now = NOW
        self.settings = Greylist(socket=[SocketAddress("inet", "127.0.0.1", 10023)], **options)
        self.log = log
        self.resolver = FixedResolver({})
        self.spf: dict[str, SpfResult] = {}
        self.spf_asked: list[tuple[str, str, str]] = []
        self.metrics = Metrics("greylist")
        counts = Counts(self.metrics)
        self.handler = GreylistHandler(
            "greylist",
            self.settings,
            Tools(
                host="mail.example.net",
                trusted=Networks([ip_network("127.0.0.0/8"), ip_network("10.0.0.0/8")]),
                lists=AllowLists(*read_lists(self.settings, "daemons.greylist")),
                desk=Desk(
                    sqlite_store(directory, rules_of(self.settings)),
                    timeout=PATIENCE,
                    log=log.log,
                    counts=counts,
                    clock=lambda: self.now,
                ),
                resolver=cast(Resolver, self.resolver),
                new_budget=lambda: Budget(Dns()),
                log=log.log,
                counts=counts,
                spf=SpfVouching(self._check, lambda: self.now) if self.settings.spf else None,
                clock=lambda: self.now,
            ),
        )

    async def _check(self, client: str, helo: str, sender: str) -> SpfResult:
        self.spf_asked.append((client, helo, sender))
        await asyncio.sleep(0)
        domain = (sender or helo).rpartition("@")[2]
        return self.spf.get(domain, SpfResult(Verdict.NONE, Identity.MAIL_FROM, domain))

    def vouch(self, domain: str, mechanism: str = "ip4:192.0.2.0/24") -> None:
        self.spf[domain] = SpfResult(Verdict.PASS, Identity.MAIL_FROM, domain, mechanism)

    async def ask(self, **attributes: str) -> str:
        action = self.handler.decide(Request(USUAL | attributes))
        return action if isinstance(action, str) else await action

    @property
    def told(self) -> list[str]:
        """What the lines about messages say, in short."""
        return [line["greylist"] for line in self.log.lines if "greylist" in line]

    def counted(self) -> dict[str, float]:
        return {
            sample.labels["outcome"]: sample.value
            for family in self.metrics.registry.collect()
            for sample in family.samples
            if sample.name == "gatepost_greylist_requests_total"
        }


Scene = Callable[[Site], Awaitable[Result]]


def play(scene: Scene[Result], directory: Path, log: LogFile, **options: Any) -> Result:
    async def played() -> Result:
        site = Site(directory, log, **options)
        try:
            return await scene(site)
        finally:
            await site.handler.close()
            assert site.resolver.closed

    return asyncio.run(played())
