"""Runs an evaluation against a zone given as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from gatepost.dns.answer import Answer, Outcome
from gatepost.dns.steps import Question, Steps

T = TypeVar("T")

Zone = Mapping[str, str | Sequence[str] | Outcome]
"""Names to the text of their TXT records, or to what becomes of every question about them."""


def answer(zone: Zone, question: Question) -> Answer:
    entry = zone.get(question.name)
    if isinstance(entry, Outcome):
        return Answer(entry)
    if entry is None:
        below = any(name.endswith("." + question.name) for name in zone)
        return Answer(Outcome.NODATA if below else Outcome.NXDOMAIN)
    if question.rdtype != "TXT":
        return Answer(Outcome.NODATA)
    texts = [entry] if isinstance(entry, str) else entry
    return Answer(Outcome.FOUND, tuple(text.encode() for text in texts))


def run(steps: Steps[T], zone: Zone, asked: list[str] | None = None) -> T:
    """The result of *steps*; the names that it asks for go to *asked*."""
    try:
        questions = next(steps)
        while True:
            if asked is not None:
                asked += [question.name for question in questions]
            questions = steps.send({question: answer(zone, question) for question in questions})
    except StopIteration as end:
        result: T = end.value
        return result
