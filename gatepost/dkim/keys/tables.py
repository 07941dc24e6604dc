"""``key_table:`` and ``signing_table:``, OpenDKIM's two tables together."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from gatepost.config.errors import Problem
from gatepost.dkim.keys.dataset import Dataset
from gatepost.dkim.keys.keycache import KeyCache
from gatepost.dkim.keys.keydata import KeyFormatError, PrivateKey
from gatepost.dkim.keys.keyfile import KeyFileError, KeyFileMissingError
from gatepost.dkim.keys.keytable import SENDERS_DOMAIN, KeyRow, read_key_table
from gatepost.dkim.keys.names import identity_for
from gatepost.dkim.keys.report import Report
from gatepost.dkim.keys.signingtable import SigningRow, read_signing_table
from gatepost.dkim.keys.source import Explanation, KeyPlace, NamedKey
from gatepost.dkim.signing_key import KeyUnavailableError, SigningKey

_IN_LINE = "the key in this line"


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
        """All keys for the sender. Raises KeyUnavailableError where one cannot be read.

        A key that only the sender's domain names may be missing while another
        rule gives one: rules for all domains stand behind those for some.
        """
        keys: dict[tuple[str, str], SigningKey] = {}
        missing = ""
        for rule in self._senders.match(local_part, domain):
            row = self._row(rule, domain)
            if row is None:
                missing = missing or self._no_row(rule)
                continue
            name = (row.domain or domain, row.selector)
            if name in keys:
                continue
            try:
                private = self._private(row, domain)
            except KeyFileMissingError as error:
                if SENDERS_DOMAIN not in row.data:
                    raise KeyUnavailableError(str(error)) from None
                missing = missing or str(error)
            except KeyFileError as error:
                raise KeyUnavailableError(str(error)) from None
            except KeyFormatError as error:
                raise KeyUnavailableError(f"{self._keys.file}:{row.line}: {_IN_LINE} {error}") from None
            else:
                keys[name] = SigningKey(
                    *name, private, identity_for(rule.identity or self._identity, name[0], domain)
                )
        if missing and not keys:
            raise KeyUnavailableError(missing)
        return list(keys.values())

    def explain(self, local_part: str, domain: str) -> Explanation:
        """The lines of the signing table that fit the sender."""
        rules = self._senders.match(local_part, domain)
        if not rules:
            text = f"none of the {len(self._senders)} rules in {self._place} is for this sender"
            return Explanation(False, text)
        with_key = [rule for rule in rules if self._row(rule, domain) is not None]
        if not with_key:
            return Explanation(True, self._no_row(rules[0]))
        return Explanation(True, ", ".join(f"{self._place}:{rule.line}" for rule in with_key))

    def places(self) -> Iterator[KeyPlace]:
        """The file of every row; the table's own for a key that stands in it."""
        for row in self._keys:
            if not row.is_path:
                yield KeyPlace(row.domain, row.selector, self._keys.file)
            elif SENDERS_DOMAIN not in row.data:
                yield KeyPlace(row.domain, row.selector, row.data)

    def named(self) -> Iterator[NamedKey]:
        """The key of every row whose place does not depend on the sender."""
        for row in self._keys:
            if not row.is_path:
                try:
                    private = self._cache.inline(row.data)
                except KeyFormatError as error:
                    problem = f"{self._keys.file}:{row.line}: {_IN_LINE} {error}"
                    yield NamedKey(row.domain, row.selector, self._keys.file, None, problem)
                else:
                    yield NamedKey(row.domain, row.selector, self._keys.file, private)
            elif SENDERS_DOMAIN not in row.data:
                yield self._cache.named(row.domain, row.selector, row.data)

    def check_all(self) -> list[Problem]:
        """Read every key whose place does not depend on the sender."""
        problems = []
        for row in self._keys:
            if row.is_path and SENDERS_DOMAIN in row.data:
                continue
            try:
                self._private(row, "")
            except KeyFileError as error:
                text = str(error)
            except KeyFormatError as error:
                text = f"{_IN_LINE} {error}"
            else:
                continue
            problems.append(Problem(self._keys.file, row.line, 1 if row.line else 0, self._option, text))
        return problems

    def watched_files(self) -> list[Path]:
        """The two tables."""
        return list(self._files)

    def refused_changes(self) -> list[KeyFileError]:
        """Key files that have changed and cannot be used."""
        return self._cache.refused_changes()

    def _row(self, rule: SigningRow, domain: str) -> KeyRow | None:
        """The key that *rule* names; None only where the sender's *domain* is the name, and there is no such key."""
        return self._keys.get(domain if rule.key == SENDERS_DOMAIN else rule.key)

    def _no_row(self, rule: SigningRow) -> str:
        return f"{self._place}:{rule.line} asks for a key named after the sender's domain, and the key table has none"

    def _private(self, row: KeyRow, domain: str) -> PrivateKey:
        """The key of *row*, for the sender's *domain*. Raises KeyFileError, KeyFormatError."""
        if not row.is_path:
            return self._cache.inline(row.data)
        # KeySources.find lets no domain through that could lead elsewhere.
        return self._cache.get(row.data.replace(SENDERS_DOMAIN, domain))
