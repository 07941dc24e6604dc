"""Patterns for senders, in which ``*`` stands for any text, found quickly among very many."""

from __future__ import annotations

from operator import itemgetter
from typing import Generic, TypeVar

from gatepost.dkim.keys.names import parse_pattern, superdomains

Rule = TypeVar("Rule")


class Wildcard:
    """One pattern. Matching takes time in proportion to the text, however many ``*`` there are."""

    __slots__ = ("_first", "_inner", "_last", "_least", "_literal")

    def __init__(self, pattern: str) -> None:
        first, *rest = pattern.split("*")
        self._literal = not rest
        self._first = first
        self._last = rest[-1] if rest else ""
        self._inner = [part for part in rest[:-1] if part]
        self._least = len(self._first) + len(self._last)

    def matches(self, text: str) -> bool:
        """Whether the whole of *text* fits; case counts."""
        if self._literal:
            return text == self._first
        if len(text) < self._least or not text.startswith(self._first) or not text.endswith(self._last):
            return False
        at, end = len(self._first), len(text) - len(self._last)
        for part in self._inner:
            at = text.find(part, at, end)
            if at < 0:
                return False
            at += len(part)
        return True


class SenderPatterns(Generic[Rule]):
    """Rules by pattern, for ``user@domain``; case does not count.

    The usual patterns, ``*@domain``, ``*@*.domain`` and whole addresses, cost
    the same however many there are. All others are tried one by one.
    """

    def __init__(self) -> None:
        self._count = 0
        self._addresses: dict[str, list[tuple[int, Rule]]] = {}
        self._domains: dict[str, list[tuple[int, Rule]]] = {}
        self._below: dict[str, list[tuple[int, Rule]]] = {}
        self._others: list[tuple[int, Rule, Wildcard]] = []

    def __len__(self) -> int:
        return self._count

    def add(self, pattern: str, rule: Rule) -> None:
        """Add a rule. Raises ValueError, with one line, for a pattern whose domain is none."""
        pattern = parse_pattern(pattern)
        entry = (self._count, rule)
        self._count += 1
        if "*" not in pattern:
            self._addresses.setdefault(pattern, []).append(entry)
        elif pattern.startswith("*@*.") and "*" not in pattern[4:] and "@" not in pattern[4:]:
            self._below.setdefault(pattern[4:], []).append(entry)
        elif pattern.startswith("*@") and "*" not in pattern[2:] and "@" not in pattern[2:]:
            self._domains.setdefault(pattern[2:], []).append(entry)
        else:
            self._others.append((*entry, Wildcard(pattern)))

    def match(self, local_part: str, domain: str) -> list[Rule]:
        """All rules for the sender, in the order in which they were added; *domain* as A-labels in lower case."""
        address = f"{local_part.lower()}@{domain}"
        found = [*self._addresses.get(address, ()), *self._domains.get(domain, ())]
        if self._below:
            for parent in superdomains(domain):
                found += self._below.get(parent, ())
        found += [(order, rule) for order, rule, wildcard in self._others if wildcard.matches(address)]
        if len(found) > 1:
            found.sort(key=itemgetter(0))
        return [rule for _, rule in found]
