"""``key_table:`` and ``signing_table:``, OpenDKIM's two tables together."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from gatepost.config.errors import Problem
from gatepost.dkim.keys.dataset import Dataset
from gatepost.dkim.keys.keycache import KeyCache
from gatepost.dkim.keys.keydata import KeyFormatError, PrivateKey
from gatepost.dkim.keys.keyfile import KeyFileError
from gatepost.dkim.keys.keytable import SENDERS_DOMAIN, KeyRow, read_key_table
from gatepost.dkim.keys.names import identity_for, is_file_name
from gatepost.dkim.keys.report import Report
from gatepost.dkim.keys.signingtable import SigningRow, read_signing_table
from gatepost.dkim.keys.source import Explanation
from gatepost.dkim.signing_key import KeyUnavailableError, SigningKey


class Tables:
    """Keys by the rules of a SigningTable. All rules that fit a sender sign."""

    def __init__(
        self,
        key_table: Dataset,
        signing_table: Dataset,
        cache: KeyCache,
        key_report: Report,
        signing_report: Report,
        identity: str = "",
    ) -> None:
        """Read both tables, and no key; what is wrong goes to the reports.

        *identity* is i= for the rules that bring none.
        """
        self._cache = cache
        self._identity = identity
        self._files = [dataset.path for dataset in (key_table, signing_table) if dataset.path is not None]
        self._keys = read_key_table(key_table, cache.rules, key_report)
        self._senders = read_signing_table(signing_table, self._keys, signing_report)
        self._option = key_report.option
        self._place = signing_report.file or signing_report.option

    def find(self, local_part: str, domain: str) -> list[SigningKey]:
        """All keys for the sender. Raises KeyUnavailableError where one cannot be read."""
        keys: dict[tuple[str, str], SigningKey] = {}
        for rule, row in self._matching(local_part, domain):
            name = (row.domain or domain, row.selector)
            if name not in keys:
                identity = identity_for(rule.identity or self._identity, name[0], domain)
                keys[name] = SigningKey(*name, self._private(row, domain), identity)
        return list(keys.values())

    def explain(self, local_part: str, domain: str) -> Explanation:
        """The lines of the signing table that fit the sender."""
        lines = [rule.line for rule, _ in self._matching(local_part, domain)]
        if lines:
            return Explanation(True, ", ".join(f"{self._place}:{line}" for line in lines))
        named = [rule.line for rule in self._senders.match(local_part, domain)]
        if named:
            text = (
                f"{self._place}:{named[0]} asks for a key named after the sender's domain, and there is none"
            )
            return Explanation(False, text)
        return Explanation(
            False, f"none of the {len(self._senders)} rules in {self._place} is for this sender"
        )

    def check_all(self) -> list[Problem]:
        """Read every key whose place does not depend on the sender."""
        problems = []
        for row in self._keys:
            if row.is_path and SENDERS_DOMAIN in row.data:
                continue
            try:
                self._private(row, "")
            except KeyUnavailableError as error:
                column = 1 if row.line else 0
                problems.append(Problem(self._keys.file, row.line, column, self._option, str(error)))
        return problems

    def watched_files(self) -> list[Path]:
        """The two tables."""
        return list(self._files)

    def refused_changes(self) -> list[KeyFileError]:
        """Key files that have changed and cannot be used."""
        return self._cache.refused_changes()

    def _matching(self, local_part: str, domain: str) -> Iterator[tuple[SigningRow, KeyRow]]:
        for rule in self._senders.match(local_part, domain):
            # Reading the table has made sure of all other names.
            row = self._keys.get(domain if rule.key == SENDERS_DOMAIN else rule.key)
            if row is not None:
                yield rule, row

    def _private(self, row: KeyRow, domain: str) -> PrivateKey:
        """The key of *row*, for the sender's *domain*. Raises KeyUnavailableError."""
        if not row.is_path:
            try:
                return self._cache.inline(row.data)
            except KeyFormatError as error:
                raise KeyUnavailableError(
                    f"{self._keys.file}:{row.line}: the key in this line {error}"
                ) from None
        path = row.data
        if SENDERS_DOMAIN in path:
            if not is_file_name(domain):
                raise KeyUnavailableError(f"{path}: the sender's domain cannot be part of a file name")
            path = path.replace(SENDERS_DOMAIN, domain)
        try:
            return self._cache.get(path)
        except KeyFileError as error:
            raise KeyUnavailableError(str(error)) from None
