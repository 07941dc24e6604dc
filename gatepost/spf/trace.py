"""An SPF evaluation step by step, for people who want to know why."""

from __future__ import annotations

from dataclasses import dataclass

from gatepost.dns.answer import Answer


@dataclass(slots=True)
class Asked:
    """A DNS question that the evaluation had, and the answer."""

    depth: int
    name: str
    rdtype: str
    answer: Answer
    void: bool = False
    """Whether it counts as a look-up that found nothing."""


@dataclass(slots=True)
class Record:
    """A record that is evaluated next: ``text`` is "" where the domain has none."""

    depth: int
    domain: str
    text: str


@dataclass(slots=True)
class Term:
    """A mechanism whose turn has come.

    ``lookup`` is its number among those that cost DNS look-ups, 0 for one that
    costs none. ``matched`` is None where the evaluation ended in the middle of it.
    """

    depth: int
    text: str
    mechanism: str
    target: str
    lookup: int = 0
    matched: bool | None = None


@dataclass(slots=True)
class Verdict:
    """What the record of ``domain`` came to, in the words of RFC 7208."""

    depth: int
    domain: str
    word: str


class Trace:
    """Notes the steps of one evaluation, in order, in ``steps``.

    ``depth`` of a step is 0 for the identity's own record, and one more inside
    each include or redirect.
    """

    def __init__(self) -> None:
        self.steps: list[Asked | Record | Term | Verdict] = []
        self.hit = False
        """Whether the mechanism at hand matches, as far as is known."""
        self._domains: list[str] = []
        self._open: list[Term | None] = []
        self._included = False

    @property
    def term(self) -> Term | None:
        """The mechanism at hand; None while a record is being read."""
        return self._open[-1] if self._open else None

    def enter(self, domain: str) -> None:
        """The record of *domain* is wanted: for the identity, an include or a redirect."""
        if self.term is not None and not self._included:
            self.term.matched = False  # a redirect: nothing in the record has matched
        self._domains.append(domain)
        self._open.append(None)

    def found(self, text: str) -> None:
        """The record that was wanted."""
        self.steps.append(Record(self._depth, self._domains[-1], text))

    def begin(self, text: str, mechanism: str, target: str) -> None:
        """The turn of the next mechanism: the one before has not matched."""
        if self.term is not None:
            self.term.matched = False
        term = Term(self._depth, text, mechanism, target)
        self._open[-1] = term
        self.steps.append(term)
        self.hit = mechanism == "all"
        self._included = mechanism == "include"

    def counted(self, lookups: int) -> None:
        """The mechanism at hand costs look-ups: it is the one of this number."""
        if self.term is not None:
            self.term.lookup = lookups

    def asked(self, name: str, rdtype: str, answer: Answer, void: bool) -> None:
        """A question was answered."""
        self.steps.append(Asked(self._depth, name, rdtype, answer, void))
        if self.term is not None and self.term.mechanism == "exists":
            self.hit = bool(answer.records)

    def leave(self, word: str) -> None:
        """The record at hand came to *word*."""
        if self.term is not None and self.term.matched is None:
            self.term.matched = self.hit
        self.steps.append(Verdict(self._depth, self._domains.pop(), word))
        self._open.pop()
        self.hit = word == "pass"
        self._included = False

    @property
    def _depth(self) -> int:
        return max(len(self._domains) - 1, 0)
