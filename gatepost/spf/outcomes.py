"""Outcomes of evaluations, kept for the next mail of the same client and domain.

What an evaluation comes to follows from the client's address, the identity's
domain and the DNS answers that it used, and from nothing else: where it came to
a macro that differs from mail to mail (``subject.PERSONAL``), it is not kept.
So an outcome holds for as long as each of those answers is still the one at
hand, the same object and not only an equal one. They are asked for again each
time, in the order in which the evaluation would: the DNS cache alone decides
how long anything lasts, and counts as it would without this.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import NamedTuple

from gatepost.dns.answer import Answer
from gatepost.dns.cache import weight
from gatepost.spf.questions import Answers, Question
from gatepost.spf.result import Identity, SpfResult, Verdict
from gatepost.spf.subject import Subject

MOST = 4096
"""Outcomes that are kept; the least recently used go first."""

MOST_BYTES = 8 * 1024 * 1024
"""What the answers of all of them weigh at most, by estimate: the DNS cache may have dropped them meanwhile."""

HEAVIEST = 16 * 1024
"""What the answers of one may weigh: ten includes, or ten exchanges, and their records."""

_Key = tuple[str, int, int, bool]


class _Kept(NamedTuple):
    used: tuple[tuple[Question, Answer], ...]
    weight: int
    result: SpfResult


class Outcomes:
    """At most *most* outcomes, of at most *most_bytes* together."""

    def __init__(self, most: int = MOST, most_bytes: int = MOST_BYTES) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._kept: OrderedDict[_Key, _Kept] = OrderedDict()
        self._weight = 0

    def __len__(self) -> int:
        return len(self._kept)

    def find(self, subject: Subject, answers: Answers) -> SpfResult | None:
        """What evaluating *subject* on *answers* would come to; None where it has to be evaluated."""
        key = _key(subject)
        kept = self._kept.get(key)
        if kept is None:
            return None
        for (name, rdtype), answer in kept.used:
            if answers(name, rdtype) is not answer:
                self._drop(key)
                return None
        self._kept.move_to_end(key)
        return kept.result

    def keep(self, subject: Subject, used: Mapping[Question, Answer], result: SpfResult) -> None:
        """Keep *result*, to which nothing but the client, the domain and *used* led, in the order of asking.

        Temporary errors are not kept, nor what is too heavy.
        """
        weighs = sum(map(weight, used.values()))
        if result.verdict is Verdict.TEMPERROR or weighs > HEAVIEST:
            return
        key = _key(subject)
        self._drop(key)
        self._kept[key] = _Kept(tuple(used.items()), weighs, result)
        self._weight += weighs
        while len(self._kept) > self._most or self._weight > self._most_bytes:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: _Key) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._weight -= kept.weight


def _key(subject: Subject) -> _Key:
    sender, client = subject.sender, subject.client
    # Numbers are compared faster than addresses.
    return sender.domain, int(client), client.version, sender.identity is Identity.HELO
