"""OpenDKIM's SigningTable: which keys sign for which senders."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from gatepost.config.words import quoted
from gatepost.dkim.keys.dataset import Dataset, Kind, rows
from gatepost.dkim.keys.keytable import SENDERS_DOMAIN, KeyTable
from gatepost.dkim.keys.names import parse_identity, parse_pattern, superdomains
from gatepost.dkim.keys.patterns import SenderPatterns
from gatepost.dkim.keys.report import Report


class SigningRow(NamedTuple):
    """One rule. ``key`` is the key's name, ``%`` for the sender's domain; ``identity`` is i=, "" for none."""

    line: int
    key: str
    identity: str


class SigningTable(Protocol):
    """The rules, by sender."""

    def __len__(self) -> int:
        """How many rules there are."""

    def add(self, sender: str, rule: SigningRow) -> None:
        """Add a rule. Raises ValueError, with one line, for what cannot be a sender."""

    def match(self, local_part: str, domain: str) -> list[SigningRow]:
        """All rules for the sender, in the order in which they are to sign."""


class FlatSenders:
    """Rules whose senders are looked up, from the narrowest to the widest.

    For user@a.b.c: user@a.b.c, a.b.c, user@.b.c, .b.c, user@.c, .c, user@* and *.
    """

    def __init__(self) -> None:
        self._rules: dict[str, list[SigningRow]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, sender: str, rule: SigningRow) -> None:
        """Add a rule. Raises ValueError, with one line, for what cannot be a sender."""
        sender = parse_pattern(sender)
        local, _, domain = sender.rpartition("@")
        if "*" in local or ("*" in domain and domain != "*"):
            raise ValueError(f"{quoted(sender)} is a pattern: write refile: in front of the file's name")
        self._rules.setdefault(sender, []).append(rule)
        self._count += 1

    def match(self, local_part: str, domain: str) -> list[SigningRow]:
        """All rules for the sender, the narrowest first."""
        rules = self._rules
        return [
            rule for name in _lookups(local_part.lower(), domain) if name in rules for rule in rules[name]
        ]


def read_signing_table(dataset: Dataset, keys: KeyTable, report: Report) -> SigningTable:
    """Read a SigningTable, whose keys have to be in *keys*. What is wrong goes to *report*."""
    text = report.read(dataset.path) if dataset.path is not None else ""
    table: SigningTable = SenderPatterns[SigningRow]() if dataset.kind is Kind.REFILE else FlatSenders()
    for line, sender, value in rows(dataset, text or ""):
        try:
            rule = _parse_rule(line, value)
            if rule.key != SENDERS_DOMAIN and keys.get(rule.key) is None:
                raise ValueError(f"key {quoted(rule.key)} is not in the key table {keys.file}".rstrip())
            table.add(sender, rule)
        except ValueError as error:
            report.add(f"sender {quoted(sender)}: {error}", line)
    return table


def _lookups(local_part: str, domain: str) -> Iterator[str]:
    yield f"{local_part}@{domain}"
    yield domain
    for parent in superdomains(domain):
        yield f"{local_part}@.{parent}"
        yield f".{parent}"
    yield f"{local_part}@*"
    yield "*"


def _parse_rule(line: int, value: str) -> SigningRow:
    """Read ``key`` or ``key:identity``. Raises ValueError."""
    key, _, identity = value.partition(":")
    key, identity = key.strip(), identity.strip()
    if not key:
        raise ValueError("the name of its key is missing behind it")
    return SigningRow(line, key, parse_identity(identity) if identity else "")
