"""Evaluations that ask the DNS as they go, without knowing how it is asked.

An evaluation is a generator: it yields the questions that it needs next, all
those at once that do not depend on each other, and is sent their answers. When
all are in the cache it runs to its end without waiting, which is the usual case
for a busy server.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Generator, Mapping
from functools import partial
from typing import NamedTuple, TypeVar

from gatepost.dns.answer import Answer
from gatepost.dns.budget import Budget
from gatepost.dns.resolver import Resolver
from gatepost.later import Later

T = TypeVar("T")


class Question(NamedTuple):
    """A name (A-labels, no final dot) and a record type."""

    name: str
    rdtype: str


Steps = Generator[Collection[Question], Mapping[Question, Answer], T]


def run(steps: Steps[T], resolver: Resolver, new_budget: Callable[[], Budget]) -> T | Awaitable[T]:
    """Take *steps* to its end: the result itself where the cache knows all answers, else an awaitable of it."""
    try:
        questions = next(steps)
        while True:
            answers: dict[Question, Answer] = {}
            for question in questions:
                answer = resolver.cached(question.name, question.rdtype)
                if answer is not None:
                    answers[question] = answer
            if len(answers) < len(questions):
                return Later(partial(_run_on, steps, questions, answers, resolver, new_budget()))
            questions = steps.send(answers)
    except StopIteration as end:
        result: T = end.value
        return result


async def _run_on(
    steps: Steps[T],
    questions: Collection[Question],
    answers: dict[Question, Answer],
    resolver: Resolver,
    budget: Budget,
) -> T:
    try:
        while True:
            missing = [question for question in questions if question not in answers]
            found = await asyncio.gather(
                *(resolver.lookup(question.name, question.rdtype, budget) for question in missing)
            )
            answers.update(zip(missing, found, strict=True))
            questions = steps.send(answers)
            answers = {}
    except StopIteration as end:
        result: T = end.value
        return result
