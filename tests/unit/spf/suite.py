"""The RFC 7208 test suite of tests/data/rfc7208: its cases, and its DNS in two forms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from gatepost.dns.answer import Answer, Outcome

FILE = Path(__file__).parents[2] / "data/rfc7208/rfc7208-tests.yml"
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MOST_ALIASES = 8

Items = Sequence[str | Mapping[str, Any]]
Zone = Mapping[str, Items]
"""Names in lower case. ``TIMEOUT`` in a list stands for all types that have no records."""


@dataclass(frozen=True)
class Case:
    """One case. ``explanation`` is "" for our own, None where the case does not say."""

    name: str
    host: str
    helo: bytes
    mail_from: bytes
    verdicts: Sequence[str]
    explanation: str | None
    zone: Zone


def cases() -> Iterator[Case]:
    with FILE.open("rb") as file:
        for document in yaml.load_all(file, _LOADER):
            zone = {str(name).lower(): _items(items) for name, items in document["zonedata"].items()}
            for name, case in document["tests"].items():
                verdicts = case["result"]
                explanation = case.get("explanation")
                yield Case(
                    name,
                    case["host"],
                    (case["helo"] or "").encode(),
                    (case["mailfrom"] or "").encode(),
                    [verdicts] if isinstance(verdicts, str) else verdicts,
                    "" if explanation == "DEFAULT" else explanation,
                    zone,
                )


def _items(items: Items) -> Items:
    """Records of type SPF (99) are served as TXT where there are none: the suite is older than their end."""
    has_txt = any(isinstance(item, Mapping) and "TXT" in item for item in items)
    kept: list[str | Mapping[str, Any]] = []
    for item in items:
        if isinstance(item, str):
            kept.append(item)
            continue
        ((rdtype, value),) = item.items()
        if rdtype == "SPF" and not has_txt:
            rdtype = "TXT"
        if rdtype != "SPF" and value != "NONE":
            kept.append({rdtype: value})
    return kept


def timeouts(items: Items, rdtype: str) -> bool:
    """Whether the suite's server says nothing to a question for *rdtype*."""
    found = [item[rdtype] for item in items if isinstance(item, Mapping) and rdtype in item]
    return "TIMEOUT" in found or ("TIMEOUT" in items and not found)


def answer(zone: Zone, name: str, rdtype: str, aliases: int = 0) -> Answer:
    """What a resolver would find."""
    items = zone.get(name)
    if items is None:
        return Answer(Outcome.NXDOMAIN)
    if timeouts(items, rdtype):
        return Answer(Outcome.TIMEOUT)
    records: list[object] = []
    for item in items:
        if not isinstance(item, Mapping):
            continue
        if "CNAME" in item and aliases < _MOST_ALIASES:
            return answer(zone, item["CNAME"].lower().removesuffix("."), rdtype, aliases + 1)
        if rdtype in item:
            records.append(_record(rdtype, item[rdtype]))
    return Answer(Outcome.FOUND, tuple(records)) if records else Answer(Outcome.NODATA)


def _record(rdtype: str, value: Any) -> object:
    if rdtype == "TXT":
        return (value if isinstance(value, str) else "".join(value)).encode()
    if rdtype == "MX":
        return (value[0], value[1].removesuffix("."))
    return value
