"""A resolver for one case that is looked into: what was asked is kept, with the answers."""

from __future__ import annotations

import dns.name

from gatepost.config.sections import Dns
from gatepost.dns import names
from gatepost.dns.answer import Answer
from gatepost.dns.budget import Budget
from gatepost.dns.resolver import Resolver
from gatepost.dns.steps import Question
from gatepost.dns.zone import Zone


class NotingResolver(Resolver):
    """A resolver that notes every question with its answer, in ``answers``, in the order of asking.

    A question is asked once: what came back stands for the whole case,
    failures included, so that a server that is down costs one waiting time.
    ``ttls`` has the seconds for which a server lets its answer be kept, up to
    ``max_ttl``; one that keeps answers itself counts them down.
    """

    def __init__(self, settings: Dns, *, zone: Zone | None = None) -> None:
        super().__init__(settings, zone=zone)
        self.answers: dict[Question, Answer] = {}
        self.ttls: dict[Question, float] = {}

    def cached(self, name: str, rdtype: str) -> Answer | None:
        """The answer, where it is at hand."""
        question = Question(name, rdtype)
        answer = self.answers.get(question)
        if answer is None and (answer := super().cached(name, rdtype)) is not None:
            self.answers[question] = answer
        return answer

    async def lookup(self, name: str, rdtype: str, budget: Budget | None = None) -> Answer:
        """The answer to one question, as :meth:`Resolver.lookup` gives it."""
        question = Question(name, rdtype)
        answer = self.answers.get(question)
        if answer is None:
            answer = await super().lookup(name, rdtype, budget)
            self.answers[question] = answer
        return answer

    async def _resolve(self, name: dns.name.Name, rdtype: str, deadline: float) -> tuple[Answer, float]:
        answer, ttl = await super()._resolve(name, rdtype, deadline)
        if ttl:
            self.ttls[Question(names.text(name).lower(), rdtype)] = ttl
        return answer, ttl
