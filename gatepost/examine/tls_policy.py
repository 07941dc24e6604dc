"""What a domain publishes about TLS towards its servers: MTA-STS (RFC 8461) and TLS-RPT (RFC 8460)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from gatepost.dns.answer import Answer
from gatepost.dns.budget import Budget
from gatepost.dns.resolver import Resolver
from gatepost.examine.item import Item, Status

_ID = re.compile(r"[A-Za-z0-9]{1,32}")
_REPORT_URI = re.compile(r"mailto:[^@\s,!;]+@[^@\s,!;]+|https://[^\s,!;]+", re.IGNORECASE)
_STS, _RPT = "v=STSv1", "v=TLSRPTv1"


async def mta_sts_items(
    domain: str,
    exchanges: Sequence[str],
    now: float,
    resolver: Resolver,
    new_budget: Callable[[], Budget],
) -> list[Item]:
    """The record and the host of the policy of *domain*, whose MX are *exchanges*.

    The policy itself stands on the web, which is not asked. *now* is in seconds since 1970.
    """
    host = f"mta-sts.{domain}"
    record = await resolver.lookup(f"_mta-sts.{domain}", "TXT", new_budget())
    item = judge_sts(domain, record, now)
    notes = [f"the policy, https://{host}/.well-known/mta-sts.txt, cannot be fetched from here"]
    if item.status is Status.MISSING:
        return [item]
    lines = ["version: STSv1", "mode: testing", *(f"mx: {name}" for name in exchanges), "max_age: 86400"]
    notes.append(f"it should say: {'; '.join(lines)} (a line each; later mode: enforce)")
    addresses = [await resolver.lookup(host, rdtype, new_budget()) for rdtype in ("A", "AAAA")]
    found = tuple(str(each) for answer in addresses for each in answer.records)
    status = Status.OK if found else Status.DIFFERS
    if not found and any(answer.temporary for answer in addresses):
        status = Status.UNKNOWN
    elif not found:
        notes.insert(0, "the host has no address, so nobody finds the policy")
    return [item, Item("MTA-STS policy", host, "A, AAAA", status, found, notes=tuple(notes))]


def judge_sts(domain: str, answer: Answer, now: float) -> Item:
    """The TXT record of MTA-STS (RFC 8461 §3.1)."""
    fresh = f"{_STS}; id={datetime.fromtimestamp(now, UTC):%Y%m%d%H%M%S};"
    name = f"_mta-sts.{domain}"
    found, flaw = _only(answer, _STS)
    if not flaw and found:
        values = [value for key, value in _fields(found[0]) if key == "id"]
        if len(values) != 1 or not _ID.fullmatch(values[0]):
            flaw = "id= has to be there once, with 1 to 32 letters and digits"
    return _item("MTA-STS", name, answer, found, flaw, fresh)


async def tls_rpt_item(domain: str, resolver: Resolver, new_budget: Callable[[], Budget]) -> Item:
    """The record for reports about TLS."""
    return judge_rpt(domain, await resolver.lookup(f"_smtp._tls.{domain}", "TXT", new_budget()))


def judge_rpt(domain: str, answer: Answer) -> Item:
    """The TXT record of TLS-RPT (RFC 8460 §3)."""
    found, flaw = _only(answer, _RPT)
    if not flaw and found:
        uris = [value for key, value in _fields(found[0]) if key == "rua"]
        if len(uris) != 1 or not all(_REPORT_URI.fullmatch(uri.strip()) for uri in uris[0].split(",")):
            flaw = "rua= has to be there once, with mailto: or https: addresses"
    return _item(
        "TLS-RPT", f"_smtp._tls.{domain}", answer, found, flaw, f"{_RPT}; rua=mailto:tls-reports@{domain}"
    )


def _only(answer: Answer, version: str) -> tuple[tuple[str, ...], str]:
    """The records of this version, and what is wrong with their number."""
    texts = [record.decode("latin-1") for record in answer.records if isinstance(record, bytes)]
    # §3.1: others are discarded; the version stands first, in just this case.
    found = tuple(text for text in texts if text.partition(";")[0].rstrip(" \t") == version)
    if len(found) > 1:
        return found, f"{len(found)} records, which count as none: leave one"
    almost = tuple(text for text in texts if text.lower().lstrip().startswith(version.lower()))
    if not found and almost:
        return almost, f"the record has to begin with {version};"
    return found, ""


def _fields(text: str) -> list[tuple[str, str]]:
    pairs = (field.partition("=") for field in text.split(";")[1:])
    return [(key.strip(" \t"), value.strip(" \t")) for key, _, value in pairs]


def _item(kind: str, name: str, answer: Answer, found: tuple[str, ...], flaw: str, fresh: str) -> Item:
    if answer.temporary:
        note = f"the DNS did not tell: {answer.detail or answer.outcome}"
        return Item(kind, name, "TXT", Status.UNKNOWN, notes=(note,))
    if flaw:
        return Item(kind, name, "TXT", Status.DIFFERS, found, fresh, (flaw,), optional=True)
    if not found:
        return Item(kind, name, "TXT", Status.MISSING, wanted=fresh, optional=True)
    return Item(kind, name, "TXT", Status.OK, found, optional=True)
