"""The DKIM daemons without engine, sockets or DNS: a message goes in, a verdict comes out."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from ipaddress import ip_network
from typing import Any

from gatepost.authres.border import Border
from gatepost.authres.seal import Sealer
from gatepost.authres.strip import Ids
from gatepost.config.dkim_settings import DkimVerify
from gatepost.config.sections import Dns
from gatepost.dkim.verifier import Verifier
from gatepost.dns.answer import Answer, Outcome
from gatepost.dns.budget import Budget
from gatepost.log import Logger
from gatepost.message import Envelope, Message
from gatepost.metrics import Metrics
from gatepost.networks import Networks
from gatepost.suffixes import public_suffix_test
from milters.dkim_verify import policy_of
from milters.handler import DeleteHeader, Handler, InsertHeader, ReplaceHeader, Verdict
from tests.harness.mail import parse

ID = "mx.example.net"
NOW = 1_700_000_000.0
SEALER = Sealer(bytes(32), 3600.0)
STRANGER = "192.0.2.10"
OURSELVES = "127.0.0.1"


class FixedResolver:
    """Answers from a mapping: at once for names in *known*, through ``lookup`` for those in *asked*."""

    def __init__(self, known: Mapping[str, Answer | bytes], asked: Mapping[str, Answer | bytes]) -> None:
        self._known, self._asked = known, asked
        self.questions: list[str] = []

    def cached(self, name: str, rdtype: str) -> Answer | None:
        assert rdtype == "TXT"
        return _answer(self._known[name]) if name in self._known else None

    async def lookup(self, name: str, rdtype: str, budget: Budget | None = None) -> Answer:
        self.questions.append(name)
        await asyncio.sleep(0)
        return _answer(self._asked.get(name, Answer(Outcome.NXDOMAIN)))


def _answer(entry: Answer | bytes) -> Answer:
    return entry if isinstance(entry, Answer) else Answer(Outcome.FOUND, (entry,))


def networks(*texts: str) -> Networks:
    return Networks([ip_network(text) for text in texts])


def common(log: Logger, **changes: Any) -> dict[str, Any]:
    """What both daemons' tools have."""
    return {
        "authserv_id": ID, "trusted": networks("127.0.0.0/8"), "log": log, "metrics": Metrics("test"),
        "clock": lambda: NOW,
    } | changes  # fmt: skip


def verifier(settings: DkimVerify, resolver: FixedResolver) -> Verifier:
    return Verifier(policy_of(settings, public_suffix_test()), resolver, lambda: Budget(Dns()))  # type: ignore[arg-type]


def verifying(log: Logger, **changes: Any) -> dict[str, Any]:
    """What dkim-verify has beside, and its verifier."""
    unsealed = changes.pop("believe_unsealed", networks())
    return common(log) | {
        "border": Border(Ids(ID), SEALER, unsealed), "sealer": SEALER, "removes_seals": False,
    } | changes  # fmt: skip


def run(handler: Handler, raw: bytes, **envelope: Any) -> Verdict:
    """Take *raw* through the daemon as an engine does."""
    macros = {"i": "4ABC"} | envelope.pop("macros", {})
    headers, body = parse(raw)
    oversized = envelope.pop("oversized", "")
    sender = Envelope(
        **({"client_address": STRANGER, "helo": b"client.example", "macros": macros} | envelope)
    )

    async def examined() -> Verdict:
        examination = handler.examine(Message(sender, headers, oversized))
        for start in range(0, len(body), 10):
            if not examination.body(body[start : start + 10]):
                break
        verdict = examination.finish()
        return verdict if isinstance(verdict, Verdict) else await verdict

    return asyncio.run(examined())


def inserted(verdict: Verdict, name: bytes = b"Authentication-Results") -> list[str]:
    """The values of the fields called *name* that are added, folds and runs of space as one space."""
    return [
        " ".join(change.value.decode().split())
        for change in verdict.changes
        if isinstance(change, InsertHeader) and change.name == name
    ]


def deleted(verdict: Verdict) -> list[int]:
    return [change.index for change in verdict.changes if isinstance(change, DeleteHeader)]


def replaced(verdict: Verdict) -> list[tuple[int, bytes]]:
    return [(change.index, change.value) for change in verdict.changes if isinstance(change, ReplaceHeader)]
