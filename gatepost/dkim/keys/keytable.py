"""OpenDKIM's KeyTable: names of keys, and what each key signs as."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from gatepost.config.words import quoted
from gatepost.dkim.keys.dataset import Dataset, Kind, rows
from gatepost.dkim.keys.keyfile import KeyFileError, KeyRules, check_safe
from gatepost.dkim.keys.names import parse_domain, parse_selector
from gatepost.dkim.keys.patterns import Wildcard
from gatepost.dkim.keys.report import Report

SENDERS_DOMAIN = "%"
"""What stands for the domain of the sender."""


# The shortest key is a seed of 32 octets. What else is wrong with a key shows when it is used.
_INLINE = re.compile(r"-----BEGIN |[A-Za-z0-9+/]{42}[A-Za-z0-9+/=\s]*\Z")


class KeyRow(NamedTuple):
    """One key. ``domain`` is d=, "" for the sender's own; ``data`` is the key itself, or the path of its file."""

    line: int
    domain: str
    selector: str
    data: str

    @property
    def is_path(self) -> bool:
        """Whether ``data`` is a path, in which ``%`` stands for the sender's domain."""
        return self.data.startswith(("/", "./", "../"))


class KeyTable:
    """The rows of a KeyTable by name; names are compared with their case, as OpenDKIM does.

    In a ``refile:`` table names are patterns, and the first that fits counts.
    """

    def __init__(self, file: str) -> None:
        self.file = file
        self._rows: dict[str, KeyRow] = {}
        self._patterns: list[tuple[Wildcard, KeyRow]] = []

    def __iter__(self) -> Iterator[KeyRow]:
        yield from self._rows.values()
        yield from (row for _, row in self._patterns)

    def get(self, name: str) -> KeyRow | None:
        """The row for the key *name*, if there is one."""
        row = self._rows.get(name)
        for wildcard, candidate in self._patterns:
            # Both kinds together are in the order of the file.
            if row is not None and row.line < candidate.line:
                break
            if wildcard.matches(name):
                return candidate
        return row

    def add(self, name: str, row: KeyRow, *, pattern: bool) -> int:
        """Add a row; *pattern* says that ``*`` in the name stands for any text.

        Gives 0, or the line of another row that has the name already.
        """
        if pattern and "*" in name:
            self._patterns.append((Wildcard(name), row))
            return 0
        first = self._rows.setdefault(name, row)
        return first.line if first != row and first[1:] != row[1:] else 0


def read_key_table(dataset: Dataset, rules: KeyRules, report: Report) -> KeyTable:
    """Read a KeyTable; the keys themselves are left for later. What is wrong goes to *report*."""
    text = report.read(dataset.path) if dataset.path is not None else ""
    table = KeyTable(report.file)
    secrets = False
    for line, name, value in rows(dataset, text or ""):
        try:
            row = _parse_row(line, value)
        except ValueError as error:
            report.add(f"key {quoted(name)}: {error}", line)
            continue
        secrets = secrets or not row.is_path
        first_line = table.add(name, row, pattern=dataset.kind is Kind.REFILE)
        if first_line:
            report.add(f"key {quoted(name)} stands on line {first_line} already: remove one of them", line)
    if secrets and rules.require_safe and dataset.path is not None:
        _check_table(dataset.path, report)
    return table


def _parse_row(line: int, value: str) -> KeyRow:
    """Read ``domain:selector:key``. Raises ValueError."""
    fields = [part.strip() for part in value.split(":", 2)]
    if len(fields) != 3 or not all(fields):
        raise ValueError(
            "expected domain:selector:path, such as example.nl:mail:/etc/gatepost/keys/mail.private"
        )
    domain, selector, data = fields
    row = KeyRow(
        line, "" if domain == SENDERS_DOMAIN else parse_domain(domain), parse_selector(selector), data
    )
    if not row.is_path and not _INLINE.match(data):
        raise ValueError(f"{quoted(data)} is neither a key nor a path: a path starts with /, ./ or ../")
    return row


def _check_table(path: Path, report: Report) -> None:
    """A table with keys in it is as secret as a key file."""
    try:
        check_safe(path, path.stat().st_mode)
    except KeyFileError as error:
        report.add(f"holds private keys and {error.text}")
    except OSError as error:
        report.add(f"cannot be read: {error.strerror}")
