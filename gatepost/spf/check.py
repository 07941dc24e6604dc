"""SPF checks with DNS: evaluation by replay, until all answers are there (``replay``)."""

from __future__ import annotations

import asyncio
import time
from functools import lru_cache

from gatepost.dns.answer import Answer
from gatepost.dns.budget import Budget
from gatepost.dns.resolver import Resolver
from gatepost.networks import Address, parse_address
from gatepost.spf.identity import NoIdentityError, identity_of, sender_of
from gatepost.spf.outcomes import Outcomes
from gatepost.spf.questions import Question
from gatepost.spf.replay import Missing, evaluate
from gatepost.spf.result import SpfResult, Verdict
from gatepost.spf.subject import Subject
from gatepost.spf.trace import Trace

MAX_ROUNDS = 150
"""Evaluations of one check. With 10 look-ups, of 11 names each at most, none that is sound needs as many."""

MAX_TERMS = 20_000
"""Terms read in all rounds of one check."""


@lru_cache(maxsize=4096)
def client_of(text: str) -> Address | None:
    """The client's address, IPv4-mapped ones as IPv4; None for what is no address."""
    address = parse_address(text)
    # Made again from its number, it has no scope (RFC 4007 §11), which no record can speak of.
    return None if address is None else type(address)(int(address))


class Check:
    """One check of one identity: ``now()`` where all answers are at hand, otherwise ``finish()``.

    *outcomes* are those of earlier checks. This one's is kept there where no
    answer had to be waited for: most domains are asked about once.
    """

    def __init__(
        self,
        resolver: Resolver,
        budget: Budget,
        client_address: str,
        helo: bytes,
        mail_from: bytes,
        *,
        receiver: str = "unknown",
        traced: bool = False,
        outcomes: Outcomes | None = None,
    ) -> None:
        self.trace: Trace | None = None
        """The steps of the last evaluation, if it is *traced*."""
        self._resolver = resolver
        self._budget = budget
        self._traced = traced
        self._outcomes = None if traced else outcomes
        self._known: dict[Question, Answer] = {}
        self._asked: dict[Question, asyncio.Task[Answer]] = {}
        self._terms = self._rounds = 0
        self._result: SpfResult | None = None
        self._identity = identity_of(mail_from)
        client = client_of(client_address)
        if client is None:
            self._result = self._nothing(Verdict.NONE, "the client's address is not known")
            return
        try:
            sender = sender_of(helo, mail_from)
        except NoIdentityError as error:
            self._result = self._nothing(Verdict.NONE, str(error))
            return
        self._subject = Subject(client, sender, receiver, time.time())
        # Every evaluation begins with the record of the identity's own domain (RFC 7208 §4.4).
        self._missing = Missing((sender.domain, "TXT"), (), 0)

    def now(self) -> SpfResult | None:
        """Evaluate with the answers that are at hand. None means that ``finish`` has to be awaited."""
        if self._result is None and self._answer(*self._missing.needed) is not None:
            self.trace = Trace() if self._traced else None
            outcome = evaluate(self._subject, self._answer, self.trace, self._outcomes)
            if isinstance(outcome, SpfResult):
                self._result = outcome
            else:
                self._missing = outcome
                self._count(outcome)
        return self._result

    async def finish(self) -> SpfResult:
        """Look up what is missing, and evaluate again, until there is a result."""
        try:
            while (result := self.now()) is None:
                await self._look_up(self._missing)
            return result
        finally:
            for task in self._asked.values():
                task.cancel()

    def _answer(self, name: str, rdtype: str) -> Answer | None:
        """An answer of this check, which stays as it is: the cache may forget, or never have had it."""
        answer = self._known.get((name, rdtype))
        if answer is None:
            task = self._asked.get((name, rdtype))
            answer = task.result() if task is not None and task.done() else None
            answer = answer or self._resolver.cached(name, rdtype)
            if answer is not None:
                self._known[name, rdtype] = answer
        return answer

    async def _look_up(self, missing: Missing) -> None:
        """Wait for what is needed; what is foreseen is asked for, but not waited for."""
        self._outcomes = None
        for question in missing.foreseen:
            if question not in self._asked:
                self._asked[question] = asyncio.create_task(self._resolver.lookup(*question, self._budget))
        asked = self._asked.get(missing.needed)
        self._known[missing.needed] = await (
            asked if asked is not None else self._resolver.lookup(*missing.needed, self._budget)
        )

    def _count(self, missing: Missing) -> None:
        """End what would go on for ever, or nearly."""
        self._rounds += 1
        self._terms += missing.terms
        if self._rounds > MAX_ROUNDS or self._terms > MAX_TERMS:
            self._result = self._nothing(Verdict.PERMERROR, "the records are too long to be evaluated")

    def _nothing(self, verdict: Verdict, problem: str) -> SpfResult:
        domain = self._subject.sender.domain if verdict is not Verdict.NONE else ""
        return SpfResult(verdict, self._identity, domain, problem=problem)


async def check(
    resolver: Resolver,
    budget: Budget,
    client_address: str,
    helo: bytes,
    mail_from: bytes,
    *,
    receiver: str = "unknown",
) -> SpfResult:
    """Check MAIL FROM, or HELO where *mail_from* is empty (RFC 7208 §2.4). Raises nothing but CancelledError.

    *mail_from* is without angle brackets. *budget* is the message's, and bounds
    questions and time (§4.6.4 asks for 20 s at least). *receiver* is our own
    name, for %{r} in explanations.
    """
    checking = Check(resolver, budget, client_address, helo, mail_from, receiver=receiver)
    return checking.now() or await checking.finish()
