"""The verifier with its surroundings: keys are looked up, and read once for many messages."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import lru_cache

from gatepost.dkim.record import KeyProblem, KeyRecord, parse_record
from gatepost.dkim.result import SignatureResult
from gatepost.dkim.verify import Policy, Verification
from gatepost.dns.answer import Answer
from gatepost.dns.budget import Budget
from gatepost.dns.resolver import Resolver
from gatepost.later import Later
from gatepost.message import HeaderField, Places

_KEYS_KEPT = 4096
"""Key records that are kept as read: reading one costs more than verifying with it."""

_LONGEST_KEPT = 2048
"""Octets of the longest record that is kept: strangers publish them. An RSA key of 8,192 bits takes 1,400."""


class Verifier:
    """Verifies messages. One for a process; it belongs to the event loop of its resolver."""

    def __init__(self, policy: Policy, resolver: Resolver, new_budget: Callable[[], Budget]) -> None:
        self.policy = policy
        self.resolver = resolver
        self.new_budget = new_budget
        self._kept = lru_cache(maxsize=_KEYS_KEPT)(parse_record)

    def check(
        self, headers: Sequence[HeaderField], now: float, places: Places | None = None
    ) -> SignatureCheck:
        """Begin with a message, at *now* (seconds since 1970). Runs on the event loop.

        *places* are those of *headers*, where they are known already.
        """
        return SignatureCheck(self, Verification(headers, self.policy, now, places))

    def parse_record(self, text: bytes) -> KeyRecord | KeyProblem:
        """What the key record *text* says, as ``record.parse_record`` reads it. Never raises."""
        return self._kept(text) if len(text) <= _LONGEST_KEPT else parse_record(text)


class SignatureCheck:
    """The signatures of one message. All keys are asked for at once, while the body is still coming."""

    def __init__(self, verifier: Verifier, verification: Verification) -> None:
        self._verifier = verifier
        self._verification = verification
        self._known: dict[str, Answer] = {}
        self._asked: dict[str, asyncio.Task[Answer]] = {}
        self._look_up(verification.key_names)

    @property
    def count(self) -> int:
        """How many DKIM-Signature fields the message has, judged or not."""
        return self._verification.count

    @property
    def needs_body(self) -> bool:
        """Whether any signature can still pass."""
        return self._verification.needs_body

    def body(self, chunk: bytes) -> None:
        """Take the next octets of the body, cut anywhere."""
        self._verification.body(chunk)

    def results(self) -> list[SignatureResult] | Awaitable[list[SignatureResult]]:
        """Judge, at the end of the body: at once where all keys are known, else as soon as they are."""
        return Later(self._results_later) if self._asked else self._judge()

    def cancel(self) -> None:
        """The message is gone: nobody waits for its keys any more."""
        for task in self._asked.values():
            task.cancel()

    def _look_up(self, names: Iterable[str]) -> None:
        budget: Budget | None = None
        for name in names:
            answer = self._verifier.resolver.cached(name, "TXT")
            if answer is not None:
                self._known[name] = answer
                continue
            budget = budget or self._verifier.new_budget()
            self._asked[name] = asyncio.create_task(self._verifier.resolver.lookup(name, "TXT", budget))

    async def _results_later(self) -> list[SignatureResult]:
        for name, task in self._asked.items():
            self._known[name] = await task
        return self._judge()

    def _judge(self) -> list[SignatureResult]:
        return self._verification.results(self._known, self._verifier.parse_record)
