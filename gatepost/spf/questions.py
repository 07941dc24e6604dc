"""What one evaluation asks the DNS: answered from what is at hand, counted, and noted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import spf

from gatepost.dns.answer import Answer, Outcome
from gatepost.spf.trace import Trace

MAX_VOID_LOOKUPS = 2
"""Different look-ups that find nothing (RFC 7208 §4.6.4)."""

Question = tuple[str, str]
"""A name in lower case, and a record type."""

Answers = Callable[[str, str], Answer | None]
"""Gives the answer to a name and record type, or None where it is not at hand."""

_LONGEST_NAME = 253
_LONGEST_LABEL = 63
_MOST_FORESEEN = 10


class MissingError(Exception):
    """An answer is not at hand."""

    def __init__(self, question: Question) -> None:
        super().__init__(question)
        self.question = question


class Questions:
    """The questions of one evaluation.

    ``used`` has each that was answered, in the order of asking; ``voids`` those
    that count as having found nothing; ``foreseen``, in order, those that it is
    likely to have next.
    """

    __slots__ = ("_answers", "_trace", "foreseen", "used", "voids")

    def __init__(self, answers: Answers, trace: Trace | None) -> None:
        self._answers = answers
        self._trace = trace
        self.used: dict[Question, Answer] = {}
        self.voids: set[Question] = set()
        self.foreseen: dict[Question, None] = {}

    def ask(self, name: str, qtype: str, ignore_void: bool) -> list[Any]:
        """The records of *name*; none if it cannot be a name at all. CNAMEs have been followed already.

        Raises MissingError; spf.TempError where the DNS did not tell, and
        spf.PermError where too many questions have found nothing.
        """
        name = name.lower().removesuffix(".")
        if not _askable(name):
            return []
        answer = self._answers(name, qtype)
        if answer is None:
            raise MissingError((name, qtype))
        self.used[name, qtype] = answer
        void = not ignore_void and _is_void(qtype, answer)
        if self._trace is not None:
            self._trace.asked(name, qtype, answer, void)
        if answer.temporary:
            raise spf.TempError(f"{qtype} of {name}: {answer.detail or answer.outcome}")
        if void:
            self.voids.add((name, qtype))
            if len(self.voids) > MAX_VOID_LOOKUPS:
                raise spf.PermError(f"More than {MAX_VOID_LOOKUPS} DNS look-ups that found nothing")
        return list(answer.records)

    def foresee_records(self, names: tuple[str, ...]) -> None:
        """The records of *names* will probably be wanted, as far as there is room for more."""
        for name in names[: max(_MOST_FORESEEN - len(self.foreseen), 0)]:
            self.foreseen[name, "TXT"] = None

    def foresee_addresses(self, names: list[str], qtype: str) -> None:
        """The addresses of *names*, in lower case, will probably be wanted, of all of them."""
        for name in names:
            self.foreseen[name, qtype] = None


def _is_void(rdtype: str, answer: Answer) -> bool:
    """Whether a look-up found nothing (§4.6.4).

    A host that has IPv4 addresses alone exists: that an IPv6 client does not
    find it is no sign of abuse, and by far the most common way to the limit.
    """
    if answer.outcome is Outcome.NODATA:
        return rdtype != "AAAA"
    return answer.outcome is Outcome.NXDOMAIN


def _askable(name: str) -> bool:
    """Whether *name* is one that the DNS can carry. Others do not exist, and nobody is asked."""
    if not name.isascii() or not 0 < len(name) <= _LONGEST_NAME:
        return False
    labels = name.split(".")
    return "" not in labels and (len(name) <= _LONGEST_LABEL or max(map(len, labels)) <= _LONGEST_LABEL)
