"""The SPF service without server and DNS: requests go in, actions come out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from typing import Any

from gatepost.authres.seal import Sealer
from gatepost.config.addresses import SocketAddress
from gatepost.config.sections import Dns
from gatepost.config.spf_settings import Spf
from gatepost.dns.answer import Answer, Outcome
from gatepost.dns.budget import Budget
from gatepost.log import Logger
from gatepost.metrics import Metrics
from policy.handler import Request
from policy.spf import SpfHandler, Tools
from tests.unit.daemons.support import networks
from tests.unit.spf.suite import Zone, answer

ID = "mx.example.nl"
NOW = 1_700_000_000.0
SEALER = Sealer(bytes(32), 3600.0)

ZONE: Zone = {
    "pass.example": [{"TXT": "v=spf1 ip4:192.0.2.0/24 ip6:2001:db8::/32 -all"}],
    "fail.example": [{"TXT": "v=spf1 ip4:198.51.100.1 -all exp=why.fail.example"}],
    "why.fail.example": [{"TXT": "See\r\n550 http://fail.example/?ip=%{i}"}],
    "no-mail.example": [{"TXT": "v=spf1 -all"}],
    "softfail.example": [{"TXT": "v=spf1 ~all"}],
    "neutral.example": [{"TXT": "v=spf1 ?all"}],
    "permerror.example": [{"TXT": "v=spf1 ipv4:192.0.2.1"}],
    "temperror.example": ["TIMEOUT"],
    "forwarder.example": [{"TXT": "v=spf1 ip4:192.0.2.10 -all"}],
    "mx.partner.example": [{"A": "192.0.2.10"}],
    "none.example": [{"A": "192.0.2.1"}],
}


class ZoneResolver:
    """Answers from a zone: at once if it *knows* them, the same each time, otherwise through ``lookup``."""

    def __init__(self, zone: Zone, knows: bool) -> None:
        self.zone = zone
        self.questions: list[tuple[str, str]] = []
        self._knows = knows
        self._known: dict[tuple[str, str], Answer] = {}

    def cached(self, name: str, rdtype: str) -> Answer | None:
        if not self._knows:
            return None
        return self._known.setdefault((name, rdtype), answer(self.zone, name, rdtype))

    async def lookup(self, name: str, rdtype: str, budget: Budget | None = None) -> Answer:
        self.questions.append((name, rdtype))
        if budget is not None and budget.spend():
            return Answer(Outcome.TIMEOUT)
        await asyncio.sleep(0)
        return answer(self.zone, name, rdtype)

    async def close(self) -> None:
        pass


class Service:
    """The service with *options*, over a zone."""

    def __init__(
        self, zone: Zone = ZONE, *, log: Logger | None = None, knows: bool = True, **options: Any
    ) -> None:
        self.now = NOW
        self.resolver = ZoneResolver(zone, knows)
        self.metrics = Metrics("spf")
        enforces = options.pop("dmarc_enforces", False)
        trusted = options.pop("trusted", networks("10.0.0.0/8"))
        dns = Dns(message_queries=options.pop("message_queries", 100))
        tools = Tools(
            authserv_id=ID,
            trusted=trusted,
            sealer=SEALER,
            resolver=self.resolver,  # type: ignore[arg-type]
            new_budget=lambda: Budget(dns),
            log=log or Logger("error"),
            metrics=self.metrics,
            dmarc_enforces=enforces,
            clock=lambda: self.now,
        )
        settings = Spf.model_validate({"socket": [SocketAddress.parse("inet:1@127.0.0.1")], **options})
        self.handler = SpfHandler("spf", settings, tools)
        self._instances = 0

    def ask(self, **attributes: str) -> str:
        """The action for one request; a message of its own, unless it brings its ``instance``."""
        self._instances += 1
        usual: Mapping[str, str] = {
            "request": "smtpd_access_policy",
            "protocol_state": "RCPT",
            "client_address": "192.0.2.10",
            "client_name": "unknown",
            "helo_name": "client.none.example",
            "sender": "bob@none.example",
            "recipient": "anna@example.nl",
            "instance": f"1.{self._instances}",
        }
        decided = self.handler.decide(Request({**usual, **attributes}))
        return decided if isinstance(decided, str) else asyncio.run(_awaited(decided))

    def counted(self, metric: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(metric, {"daemon": "spf", **labels}) or 0.0


async def _awaited(action: Awaitable[str]) -> str:
    return await action


def sender(name: str) -> dict[str, str]:
    """The attributes of a request with a sender in the zone."""
    return {"sender": f"bob@{name}.example"}


def helo(name: str) -> dict[str, str]:
    """The attributes of a request with a HELO in the zone."""
    return {"helo_name": f"{name}.example"}
