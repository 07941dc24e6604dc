"""``key_list:``, the KeyList of dkim-filter: ``pattern:signing-domain:keyfile`` lines."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from gatepost.config.errors import Problem
from gatepost.config.words import quoted
from gatepost.dkim.keys.keycache import KeyCache
from gatepost.dkim.keys.keydata import PrivateKey
from gatepost.dkim.keys.keyfile import KeyFileError, KeyFileMissingError
from gatepost.dkim.keys.names import identity_for, parse_domain, parse_selector
from gatepost.dkim.keys.patterns import SenderPatterns
from gatepost.dkim.keys.report import Report
from gatepost.dkim.keys.source import Explanation, KeyPlace, NamedKey
from gatepost.dkim.signing_key import KeyUnavailableError, SigningKey

_SUFFIXES = (".pem", ".private")
"""What a key file may have behind the name that the list gives, in the order in which they are tried."""


class KeyListRow(NamedTuple):
    """One line: d=, s= and the path as the list has it."""

    line: int
    domain: str
    selector: str
    path: str


class KeyList:
    """Keys by patterns for ``user@domain``. All lines that fit a sender sign."""

    def __init__(self, path: Path, cache: KeyCache, report: Report, identity: str = "") -> None:
        """Read the list, and no key; what is wrong goes to *report*. *identity* is i=, "" for none."""
        self._file = path
        self._cache = cache
        self._identity = identity
        self._option = report.option
        self._rows: list[KeyListRow] = []
        self._senders = SenderPatterns[KeyListRow]()
        for line, text in enumerate((report.read(path) or "").split("\n"), 1):
            text = text.partition("#")[0].strip()
            if not text:
                continue
            try:
                pattern, row = parse_row(line, text)
                self._senders.add(pattern, row)
            except ValueError as error:
                report.add(str(error), line)
            else:
                self._rows.append(row)

    def find(self, local_part: str, domain: str) -> list[SigningKey]:
        """All keys for the sender. Raises KeyUnavailableError where one cannot be read."""
        keys: dict[tuple[str, str], SigningKey] = {}
        for row in self._senders.match(local_part, domain):
            name = (row.domain, row.selector)
            if name not in keys:
                try:
                    private = self._private(row.path)
                except KeyFileError as error:
                    raise KeyUnavailableError(str(error)) from None
                keys[name] = SigningKey(*name, private, identity_for(self._identity, row.domain, domain))
        return list(keys.values())

    def explain(self, local_part: str, domain: str) -> Explanation:
        """The lines that fit the sender."""
        lines = [row.line for row in self._senders.match(local_part, domain)]
        if lines:
            return Explanation(True, ", ".join(f"{self._file}:{line}" for line in lines))
        return Explanation(False, f"none of the {len(self._rows)} lines in {self._file} is for this sender")

    def places(self) -> Iterator[KeyPlace]:
        """The file of every line."""
        for row in self._rows:
            names = (row.path, *(row.path + suffix for suffix in _SUFFIXES))
            yield KeyPlace(row.domain, row.selector, next(filter(os.path.exists, names), row.path))

    def named(self) -> Iterator[NamedKey]:
        """The key of every line."""
        for row in self._rows:
            try:
                yield NamedKey(row.domain, row.selector, row.path, self._private(row.path))
            except KeyFileError as error:
                yield NamedKey(row.domain, row.selector, row.path, None, str(error))

    def check_all(self) -> list[Problem]:
        """Read every key."""
        problems = []
        for row in self._rows:
            try:
                self._private(row.path)
            except KeyFileError as error:
                problems.append(Problem(str(self._file), row.line, 1, self._option, str(error)))
        return problems

    def watched_files(self) -> list[Path]:
        """The list."""
        return [self._file]

    def refused_changes(self) -> list[KeyFileError]:
        """Key files that have changed and cannot be used."""
        return self._cache.refused_changes()

    def _private(self, path: str) -> PrivateKey:
        """The key at *path*, or at *path* with a suffix. Raises KeyFileError, about *path* itself if none exists."""
        try:
            return self._cache.get(path)
        except KeyFileMissingError as error:
            missing = error
        for suffix in _SUFFIXES:
            try:
                return self._cache.get(path + suffix)
            except KeyFileMissingError:
                pass
        raise KeyFileMissingError(missing.path, missing.text)


def parse_row(line: int, text: str) -> tuple[str, KeyListRow]:
    """Read ``pattern:signing-domain:keyfile``: the pattern, and the rest.

    The selector is the last part of the path. A suffix that the list should not
    have, .private or .pem, is no part of it. Raises ValueError with one line.
    """
    fields = [part.strip() for part in text.split(":", 2)]
    if len(fields) != 3 or not all(fields):
        raise ValueError(
            "expected pattern:domain:keyfile, such as *@example.nl:example.nl:/etc/mail/dkim/mail"
        )
    pattern, domain, path = fields
    if "@" not in pattern and "*" not in pattern:
        raise ValueError(f"{quoted(pattern)} fits no sender: write *@{pattern} for all of a domain")
    if not path.startswith("/"):
        raise ValueError(f"{quoted(path)} is not a whole path: it has to start with /")
    selector = path.rpartition("/")[2]
    for suffix in _SUFFIXES:
        selector = selector.removesuffix(suffix)
    return pattern, KeyListRow(line, parse_domain(domain), parse_selector(selector), path)
