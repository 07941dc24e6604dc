"""``keys:``, the signing keys that the configuration names one by one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gatepost.config.errors import Problem
from gatepost.config.words import quoted
from gatepost.dkim.keys.keycache import KeyCache
from gatepost.dkim.keys.keyfile import KeyFileError, KeyRules
from gatepost.dkim.keys.names import (
    identity_for,
    parse_domain,
    parse_identity,
    parse_selector,
    superdomains,
)
from gatepost.dkim.keys.report import Report
from gatepost.dkim.keys.source import Explanation, KeyPlace, NamedKey
from gatepost.dkim.signing_key import KeyUnavailableError, SigningKey

if TYPE_CHECKING:
    from gatepost.config.dkim_settings import SigningKeyEntry

ANY = "*"


@dataclass(frozen=True, slots=True)
class _Rule:
    """One entry. ``sender`` is ``domain``, ``user@domain`` or ``*``; ``domain`` is d=, "" for the sender's own."""

    number: int
    sender: str
    subdomains: bool
    path: str
    domain: str
    selector: str
    identity: str


class KeyEntries:
    """The keys of ``keys:``. All entries that fit a sender sign; the narrowest come first."""

    def __init__(
        self,
        entries: Sequence[SigningKeyEntry],
        rules: KeyRules,
        report: Report,
        *,
        identity: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read *entries* and all their keys; what is wrong goes to *report*.

        *identity* is i= for the entries that bring none.
        """
        # Nothing may fall out: the daemon may not be able to read a key a second time.
        self._cache = KeyCache(rules, clock=clock, size=len(entries))
        self._option = report.option
        self._rules: list[_Rule] = []
        self._exact: dict[str, list[_Rule]] = {}
        self._below: dict[str, list[_Rule]] = {}
        for number, entry in enumerate(entries, 1):
            rule = _read_entry(number, entry, identity, report)
            if rule is not None and not self._clashes(rule, report):
                self._add(rule)
        report.problems.extend(self.check_all())

    def find(self, local_part: str, domain: str) -> list[SigningKey]:
        """All keys for the sender. Raises KeyUnavailableError where a key's file has gone."""
        keys: dict[tuple[str, str], SigningKey] = {}
        for rule in self._matching(local_part, domain):
            signing_domain = rule.domain or domain
            name = (signing_domain, rule.selector)
            if name in keys:
                continue
            try:
                private = self._cache.get(rule.path)
            except KeyFileError as error:
                raise KeyUnavailableError(str(error)) from None
            identity = identity_for(rule.identity, signing_domain, domain)
            keys[name] = SigningKey(signing_domain, rule.selector, private, identity)
        return list(keys.values())

    def explain(self, local_part: str, domain: str) -> Explanation:
        """Which entries fit the sender, by their numbers."""
        places = [f"keys[{rule.number}] ({rule.sender})" for rule in self._matching(local_part, domain)]
        if places:
            return Explanation(True, ", ".join(places))
        return Explanation(False, f"none of the {len(self._rules)} entries of keys is for this sender")

    def places(self) -> Iterator[KeyPlace]:
        """The file of every entry."""
        return (KeyPlace(rule.domain, rule.selector, rule.path) for rule in self._rules)

    def named(self) -> Iterator[NamedKey]:
        """The key of every entry."""
        return (self._cache.named(*place) for place in self.places())

    def check_all(self) -> list[Problem]:
        """Read every key."""
        problems = []
        for rule in self._rules:
            try:
                self._cache.get(rule.path)
            except KeyFileError as error:
                problems.append(Problem("", 0, 0, f"{self._option}[{rule.number}].file", str(error)))
        return problems

    def watched_files(self) -> list[Path]:
        """None: the entries stand in the configuration file, and the keys are looked at again by themselves."""
        return []

    def refused_changes(self) -> list[KeyFileError]:
        """Key files that have changed and cannot be used."""
        return self._cache.refused_changes()

    def _add(self, rule: _Rule) -> None:
        self._rules.append(rule)
        self._exact.setdefault(rule.sender, []).append(rule)
        if rule.subdomains:
            self._below.setdefault(rule.sender, []).append(rule)

    def _clashes(self, rule: _Rule, report: Report) -> bool:
        """Whether an entry before it makes the same signature for the same senders, with another key."""
        for other in self._exact.get(rule.sender, ()):
            same = (other.domain, other.selector) == (rule.domain, rule.selector)
            if same and other.path != rule.path:
                report.add(
                    f"keys[{other.number}] has the same domain and selector and another file: remove one of them",
                    key=f"[{rule.number}]",
                )
                return True
        return False

    def _matching(self, local_part: str, domain: str) -> Iterator[_Rule]:
        address = f"{local_part.lower()}@"
        exact, below = self._exact, self._below
        yield from exact.get(address + domain, ())
        yield from exact.get(domain, ())
        if below:
            for parent in superdomains(domain):
                yield from below.get(address + parent, ())
                yield from below.get(parent, ())
        yield from exact.get(ANY, ())


def _read_entry(number: int, entry: SigningKeyEntry, identity: str, report: Report) -> _Rule | None:
    """Give the rule that *entry* states; None, and a problem for the report, if it makes none."""
    key, place = "domain", f"[{number}]."
    try:
        sender, domain = _parse_sender(entry.domain)
        key = "subdomains"
        if entry.subdomains and sender == ANY:
            raise ValueError('"*" is for every domain: subdomains says nothing more')
        key = "signing_domain"
        if entry.signing_domain:
            domain = parse_domain(entry.signing_domain)
        key = "selector"
        selector = parse_selector(entry.selector)
        key = "identity"
        if entry.identity:
            identity = parse_identity(entry.identity)
            if domain and "%" not in identity and not identity_for(identity, domain, domain):
                raise ValueError(
                    f"{quoted(entry.identity)} is not in the signing domain {domain} (RFC 6376 §3.5)"
                )
    except ValueError as error:
        report.add(str(error), key=place + key)
        return None
    return _Rule(number, sender, entry.subdomains, str(entry.file), domain, selector, identity)


def _parse_sender(text: str) -> tuple[str, str]:
    """Give whom an entry is for, and d= as far as that says it. Raises ValueError."""
    text = text.strip()
    if text == ANY:
        return ANY, ""
    local, _, domain = text.rpartition("@")
    if domain.startswith("."):
        raise ValueError(f"{quoted(text)}: leave out the dot and set subdomains: true")
    if domain.startswith("*."):
        raise ValueError(f'{quoted(text)}: leave out the "*." and set subdomains: true')
    if "*" in domain or ("*" in local and local != ANY):
        raise ValueError(f'{quoted(text)}: expected a domain, user@domain, *@domain, or "*" for every domain')
    domain = parse_domain(domain)
    return (f"{local.lower()}@{domain}" if local not in ("", ANY) else domain), domain
