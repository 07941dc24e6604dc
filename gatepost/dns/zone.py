"""Fixed answers from a file, for tests and demonstrations.

The file is a YAML mapping of names to lists of records::

    example.org:
      - {MX: [10, mail.example.org]}
      - {TXT: "v=spf1 mx -all"}
    sel._domainkey.example.org: [{TXT: [first part, second part]}]
    www.example.org: [{CNAME: example.org}]
    broken.example.org: [SERVFAIL]

Instead of records, a name may have one of SERVFAIL, TIMEOUT, NXDOMAIN and
NODATA. A name stands for itself alone: those above it, and below, are not in
the file unless it has them too.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import dns.name
import yaml

from gatepost.dns import names
from gatepost.dns.answer import Answer, Outcome
from gatepost.dns.cache import Key
from gatepost.dns.response import RECORD_TYPES, AliasError, extend
from gatepost.domains import InvalidNameError

_WORDS = {
    outcome.name: outcome for outcome in (Outcome.SERVFAIL, Outcome.TIMEOUT, Outcome.NXDOMAIN, Outcome.NODATA)
}


class ZoneError(ValueError):
    """The file cannot be used. The message is ``FILE:LINE: what is wrong``, or without LINE."""


@dataclass(slots=True)
class Entry:
    """What the file has for one name: records by type in the order of the file, or a fixed *outcome*."""

    records: dict[str, list[object]] = field(default_factory=dict)
    outcome: Outcome | None = None

    @property
    def alias(self) -> str | None:
        """Where its CNAME leads, if it has one."""
        targets = self.records.get("CNAME")
        return str(targets[0]) if targets else None


class Zone:
    """The answers of a zone file, by name (lower case, no final dot) and record type."""

    __slots__ = ("_answers",)

    def __init__(self, entries: dict[str, Entry]) -> None:
        self._answers = {
            (name, rdtype): _follow(entries, name, rdtype) for name in entries for rdtype in RECORD_TYPES
        }

    def find(self, key: Key) -> Answer | dns.name.Name | None:
        """The answer for a name and type, CNAMEs within the file followed.

        A name instead of an answer is where CNAMEs lead out of the file; None
        means that the file does not have the name.
        """
        return self._answers.get(key)


def load_zone(path: Path) -> Zone:
    """Read the file at *path*; raises :class:`ZoneError`."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ZoneError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ZoneError(f"{path}: not UTF-8") from error
    return parse_zone(text, str(path))


def parse_zone(text: str, source: str = "zone") -> Zone:
    """Read the *text* of a zone file, called *source* in errors; raises :class:`ZoneError`."""
    try:
        root = yaml.compose(text, Loader=yaml.CSafeLoader)
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ZoneError(f"{source}{line}: {error.problem}") from error
    except yaml.YAMLError as error:
        raise ZoneError(f"{source}: not YAML") from error
    return Zone(_Reader(source).entries(root))


class _Reader:
    """Reads the nodes of the file. Scalars are taken as written: ``no`` and ``1e3`` are text here."""

    def __init__(self, source: str) -> None:
        self._source = source

    def entries(self, root: yaml.Node | None) -> dict[str, Entry]:
        entries: dict[str, Entry] = {}
        if root is None:
            return entries
        for key, value in self._pairs(root, "a mapping of names to lists of records"):
            name = self._name(key)
            if name in entries:
                raise self._error(key, f"{name} stands here a second time")
            entries[name] = self._entry(value)
        return entries

    def _entry(self, node: yaml.Node) -> Entry:
        entry = Entry()
        items = self._items(node, "a list of records")
        for item in items:
            if isinstance(item, yaml.ScalarNode):
                if item.value not in _WORDS:
                    raise self._error(item, f"neither a record nor one of {', '.join(_WORDS)}")
                if len(items) > 1:
                    raise self._error(item, f"{item.value} has to stand alone")
                entry.outcome = _WORDS[item.value]
                continue
            for rdtype, value in self._pairs(item, "a record, {TYPE: value}"):
                self._record(entry, rdtype, value)
        if "CNAME" in entry.records and (len(entry.records) > 1 or len(entry.records["CNAME"]) > 1):
            raise self._error(node, "a CNAME has to stand alone (RFC 1034 §3.6.2)")
        return entry

    def _record(self, entry: Entry, key: yaml.Node, node: yaml.Node) -> None:
        rdtype = self._scalar(key)
        value: object
        match rdtype:
            case "TXT":
                parts = node.value if isinstance(node, yaml.SequenceNode) else [node]
                value = b"".join(self._scalar(part).encode() for part in parts)
            case "A" | "AAAA":
                value = self._address(node, 4 if rdtype == "A" else 6)
            case "MX":
                value = self._mx(node)
            case "PTR" | "CNAME":
                value = self._name(node)
            case _:
                raise self._error(key, f"unknown record type, not one of {', '.join(RECORD_TYPES)}")
        entry.records.setdefault(rdtype, []).append(value)

    def _address(self, node: yaml.Node, version: int) -> str:
        try:
            address = ipaddress.ip_address(self._scalar(node))
        except ValueError:
            raise self._error(node, "not an IP address") from None
        if address.version != version:
            raise self._error(node, f"not an IPv{version} address")
        return str(address)

    def _mx(self, node: yaml.Node) -> tuple[int, str]:
        items = self._items(node, "[preference, name]")
        if len(items) != 2:
            raise self._error(node, "an MX is [preference, name]")
        preference = self._scalar(items[0])
        if not (preference.isascii() and preference.isdigit() and int(preference[:6]) <= 0xFFFF):
            raise self._error(items[0], "a preference is a number from 0 to 65535")
        return int(preference), self._name(items[1], root_allowed=True)

    def _name(self, node: yaml.Node, *, root_allowed: bool = False) -> str:
        written = self._scalar(node)
        if root_allowed and written in ("", "."):  # the null MX (RFC 7505)
            return ""
        try:
            names.parse(written)
        except InvalidNameError as error:
            raise self._error(node, f"not a domain name: {error}") from None
        return written.lower().removesuffix(".")

    def _scalar(self, node: yaml.Node) -> str:
        if not isinstance(node, yaml.ScalarNode):
            raise self._error(node, "expected one value")
        return str(node.value)

    def _items(self, node: yaml.Node, what: str) -> list[yaml.Node]:
        if not isinstance(node, yaml.SequenceNode):
            raise self._error(node, f"expected {what}")
        return list(node.value)

    def _pairs(self, node: yaml.Node, what: str) -> Iterator[tuple[yaml.Node, yaml.Node]]:
        if not isinstance(node, yaml.MappingNode):
            raise self._error(node, f"expected {what}")
        yield from node.value

    def _error(self, node: yaml.Node, text: str) -> ZoneError:
        return ZoneError(f"{self._source}:{node.start_mark.line + 1}: {text}")


def _follow(entries: dict[str, Entry], name: str, rdtype: str) -> Answer | dns.name.Name:
    """The answer for *name*, or the name outside of *entries* where its CNAMEs lead."""
    chain = [names.parse(name)]
    while (entry := entries.get(name)) is not None:
        if entry.outcome is not None:
            return Answer(entry.outcome, detail="so says the zone file" if _is_failure(entry) else "")
        alias = entry.alias
        if alias is None or rdtype == "CNAME":
            records = tuple(entry.records.get(rdtype, ()))
            return Answer(Outcome.FOUND, records) if records else Answer(Outcome.NODATA)
        try:
            extend(chain, names.parse(alias))
        except AliasError as error:
            return Answer(Outcome.SERVFAIL, detail=str(error))
        name = alias
    return chain[-1]


def _is_failure(entry: Entry) -> bool:
    return entry.outcome in (Outcome.SERVFAIL, Outcome.TIMEOUT)
