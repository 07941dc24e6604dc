"""The DMARC daemon with a zone, and the fields that other daemons of ours would have written."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from gatepost.authres.border import Border
from gatepost.authres.result import Property, Result
from gatepost.authres.seal import message_subject, without_seal
from gatepost.authres.spf_field import Stated, write_spf_field
from gatepost.authres.strip import Ids
from gatepost.config.dmarc_settings import Dmarc
from gatepost.config.sections import Dns
from gatepost.dkim.verifier import Verifier
from gatepost.dkim.verify import Policy
from gatepost.dmarc.evaluate import TREE_WALK, by_suffix_list
from gatepost.dmarc.history import Row
from gatepost.dns.answer import Answer, Outcome
from gatepost.dns.budget import Budget
from gatepost.dns.steps import Question
from gatepost.suffixes import organizational_domain_by_list, public_suffix_test
from milters.dmarc import DmarcHandler, Tools
from milters.handler import Verdict
from tests.harness.log_file import LogFile
from tests.harness.mail import parse
from tests.unit.daemons.support import (
    ID,
    NOW,
    OURSELVES,
    SEALER,
    STRANGER,
    common,
    inserted,
    networks,
)
from tests.unit.dkim.support import MESSAGE, craft, record, rsa_key
from tests.unit.dmarc.support import Zone, answer

SIGNED = craft(MESSAGE, rsa_key())
ALTERED = SIGNED.replace(b"the text", b"the test")

DOMAIN: dict[str, str | Sequence[str] | Outcome] = {
    "mail._domainkey.example.nl": record(rsa_key()).decode(),
    "example.nl": f"v=spf1 ip4:{STRANGER} -all",
    "_dmarc.example.nl": "v=DMARC1; p=reject",
}
"""The author's domain of MESSAGE: a key, SPF for STRANGER, p=reject."""


def policy(tags: str) -> dict[str, str | Sequence[str] | Outcome]:
    """DOMAIN with another DMARC record."""
    return {**DOMAIN, "_dmarc.example.nl": f"v=DMARC1; {tags}"}


class ZoneResolver:
    """Answers from *zone*: at once where it *knows* them, otherwise through ``lookup``. Keeps the questions."""

    def __init__(self, zone: Zone, knows: bool = True) -> None:
        self.zone, self.knows = zone, knows
        self.questions: list[tuple[str, str]] = []

    def cached(self, name: str, rdtype: str) -> Answer | None:
        if not self.knows:
            return None
        self.questions.append((name, rdtype))
        return answer(self.zone, Question(name, rdtype))

    async def lookup(self, name: str, rdtype: str, budget: Budget | None = None) -> Answer:
        self.questions.append((name, rdtype))
        await asyncio.sleep(0)
        return answer(self.zone, Question(name, rdtype))


class Rows(list[Row]):
    """A history that keeps its rows."""

    add = list.append


def dmarc(
    log: LogFile, zone: Zone = DOMAIN, tools: dict[str, Any] | None = None, **settings: Any
) -> DmarcHandler:
    """The daemon. In *tools*, ``believe_unsealed`` are networks and ``knows`` is False for a cold cache."""
    changes = {"believe_unsealed": networks(), "knows": True, **(tools or {})}
    resolver = ZoneResolver(zone, changes.pop("knows"))
    chosen = Dmarc.model_validate({"kind": "dmarc", "socket": ["inet:1@127.0.0.1"], **settings})
    listed = chosen.org_domain == "psl"
    made: dict[str, Any] = common(log.log) | {
        "border": Border(Ids(ID), SEALER, changes.pop("believe_unsealed")),
        "sealer": SEALER,
        "removes_seals": False,
        "verifier": Verifier(
            Policy(is_public_suffix=public_suffix_test()),
            resolver,  # type: ignore[arg-type]
            lambda: Budget(Dns()),
        ),
        "method": by_suffix_list(organizational_domain_by_list()) if listed else TREE_WALK,
        "history": None,
        "sample": lambda: 0.0,
    }
    return DmarcHandler("dmarc", chosen, Tools(**(made | changes)))


def questions(daemon: DmarcHandler) -> list[tuple[str, str]]:
    """What the daemon has asked."""
    resolver = daemon.tools.verifier.resolver
    assert isinstance(resolver, ZoneResolver)
    return resolver.questions


def told(verdict: Verdict) -> str:
    """The one field that was added, without our id and its seal."""
    (value,) = inserted(verdict)
    text = without_seal(value.encode()).decode()
    assert text.startswith(f"{ID}; ")
    return text.removeprefix(f"{ID}; ")


def field(value: str | bytes) -> bytes:
    """An Authentication-Results field of that *value*."""
    octets = value.encode() if isinstance(value, str) else value
    return b"Authentication-Results: " + octets + b"\n"


def sealed(raw: bytes, results: str, now: float = NOW) -> bytes:
    """The field that one of our milters has written on the message *raw*."""
    headers, _ = parse(raw)
    return field(SEALER.seal(f"{ID}; {results}", message_subject(headers), now))


def sealed_spf(
    results: Sequence[tuple[str, str, str]],
    *,
    client: str = STRANGER,
    helo: bytes = b"client.example",
    mail_from: bytes = b"anna@example.nl",
    now: float = NOW,
) -> bytes:
    """The field that our policy service has written: (identity, verdict, domain or address) of each check."""
    written = [Result("spf", verdict, (Property("smtp", name, value),)) for name, verdict, value in results]
    value = write_spf_field(ID, written, Stated(client, helo, mail_from), SEALER, now)
    assert value is not None
    return field(value)


PASSED = [("mailfrom", "pass", "anna@example.nl")]
FAILED = [("mailfrom", "fail", "anna@example.nl")]

ANNA: dict[str, Any] = {"mail_from": b"anna@example.nl"}
ELSEWHERE: dict[str, Any] = {"mail_from": b"x@list.example"}
INSIDE: dict[str, Any] = {**ANNA, "client_address": OURSELVES, "helo": b"localhost"}
FROM = b"From: Anna <anna@example.nl>"
"""The From field of MESSAGE."""
DKIM_PASS = "dkim=pass header.d=example.nl header.s=mail"
LIST = b"List-Id: <l.list.example>\nList-Post: <mailto:l@list.example>\n"


def result(verdict: Verdict) -> str:
    """The DMARC result that was written."""
    return told(verdict).partition("dmarc=")[2].split()[0]


def action(verdict: Verdict) -> str:
    return verdict.disposition.value
