"""The DNS Tree Walk (§4.10), and RFC 7489's public suffix list in its place where asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import NamedTuple

from gatepost.dmarc.record import Record, parse_record
from gatepost.dns.answer import Answer, Outcome
from gatepost.dns.steps import Question, Steps

MAX_QUERIES = 8
"""Queries of one walk (§4.10): a name with more labels is shortened to seven after the first."""

_LONGEST_KEPT = 512
"""Octets of the longest record that is kept as read: strangers publish them."""

_kept = lru_cache(maxsize=1024)(parse_record)  # most mail comes from few domains


class Found(NamedTuple):
    """A domain whose DMARC record was found."""

    domain: str
    record: Record


class Walk(NamedTuple):
    """What a walk from *start* came by.

    ``records`` are in the order found, longest name first. ``failed`` are the
    domains whose look-up failed for now. ``ambiguous`` are domains with
    several records, which count as none.
    """

    start: str
    records: tuple[Found, ...]
    failed: tuple[str, ...] = ()
    ambiguous: tuple[str, ...] = ()

    def record_of(self, domain: str) -> Record | None:
        """The record found at *domain* itself."""
        return next((found.record for found in self.records if found.domain == domain), None)

    @property
    def organizational_domain(self) -> str:
        """The Organizational Domain of the start (§4.10.2)."""
        for found in self.records:
            if found.record.psd == "n":
                return found.domain
            if found.record.psd == "y" and found.domain != self.start:
                return _below(self.start, found.domain)
        return self.records[-1].domain if self.records else self.start


def targets(domain: str) -> list[str]:
    """The domains whose records a walk from *domain* asks for, in order."""
    labels = domain.split(".")
    shorter = range(max(1, len(labels) - MAX_QUERIES + 1), len(labels))
    return [domain, *(".".join(labels[start:]) for start in shorter)]


def question(domain: str) -> Question:
    """The question for *domain*'s record (§4.5)."""
    return Question(f"_dmarc.{domain}", "TXT")


@lru_cache(maxsize=1024)
def _questions(domain: str) -> Mapping[str, Question]:
    """The questions of a walk from *domain*, by the domain that they are about."""
    return {name: question(name) for name in targets(domain)}


def walk(domain: str) -> Steps[Walk]:
    """Walk the tree from *domain* up.

    All names are asked for at once: there are eight at most, and the names
    above are in everybody's cache.
    """
    questions = _questions(domain)
    answers = yield questions.values()
    records: list[Found] = []
    failed: list[str] = []
    ambiguous: list[str] = []
    for name, asked in questions.items():
        answer = answers[asked]
        if answer.temporary:
            failed.append(name)
            continue
        several, record = the_record(answer)
        if several:
            ambiguous.append(name)
        if record is not None:
            records.append(Found(name, record))
            if record.psd != "u":
                break
    return Walk(domain, tuple(records), tuple(failed), tuple(ambiguous))


def _read(text: bytes) -> Record | None:
    return _kept(text) if len(text) <= _LONGEST_KEPT else parse_record(text)


def the_record(answer: Answer) -> tuple[bool, Record | None]:
    """Whether an answer has several DMARC records, and the one that it has otherwise (§4.10, step 2)."""
    if answer.outcome is not Outcome.FOUND:
        return False, None
    records = [
        record for text in answer.records if isinstance(text, bytes) and (record := _read(text)) is not None
    ]
    return len(records) > 1, records[0] if len(records) == 1 else None


def listed_walk(organizational_domain: Callable[[str], str]) -> Callable[[str], Steps[Walk]]:
    """RFC 7489's discovery (its §6.6.3): the domain, then the organizational domain by the public suffix list."""

    def walk_by_list(domain: str) -> Steps[Walk]:
        organization = organizational_domain(domain)
        names = list(dict.fromkeys((domain, organization)))
        answers: Mapping[Question, Answer] = yield [question(name) for name in names]
        records: list[Found] = []
        failed: list[str] = []
        for name in names:
            answer = answers[question(name)]
            several, record = the_record(answer)
            if several:
                return Walk(domain, (), ambiguous=(name,))
            if answer.temporary:
                failed.append(name)
            if record is not None:
                records.append(Found(name, record))
                break
        return Walk(domain, tuple(records), tuple(failed))

    return walk_by_list


def _below(start: str, suffix: str) -> str:
    """The domain one label below *suffix*, on the way from *start*."""
    labels = start.split(".")
    return ".".join(labels[-(suffix.count(".") + 2) :])
