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

from gatepost.dns.answer import Answer
from gatepost.dns.cache import weight
from gatepost.spf.questions import Answers, Question
from gatepost.spf.result import Identity, SpfResult, Verdict
from gatepost.spf.subject import Subject

MOST = 2048
"""Outcomes that are kept; the least recently used go first."""

HEAVIEST = 8192
"""Bytes, by estimate, of the answers of an outcome that is kept: the DNS cache may have dropped them meanwhile."""

_Key = tuple[str, int, int, bool]


class Outcomes:
    """At most *most* outcomes."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._kept: OrderedDict[_Key, tuple[tuple[tuple[Question, Answer], ...], SpfResult]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def find(self, subject: Subject, answers: Answers) -> SpfResult | None:
        """What evaluating *subject* on *answers* would come to; None where it has to be evaluated."""
        key = _key(subject)
        kept = self._kept.get(key)
        if kept is None:
            return None
        for (name, rdtype), answer in kept[0]:
            if answers(name, rdtype) is not answer:
                del self._kept[key]
                return None
        self._kept.move_to_end(key)
        return kept[1]

    def keep(self, subject: Subject, used: Mapping[Question, Answer], result: SpfResult) -> None:
        """Keep *result*, which nothing but the client, the domain and *used* led to, unless it is an error of ours.

        *used* is in the order of asking.
        """
        # Whoever asks again may be told something else: after a fault of ours, too.
        if result.verdict is Verdict.TEMPERROR or sum(map(weight, used.values())) > HEAVIEST:
            return
        self._kept[_key(subject)] = (tuple(used.items()), result)
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)


def _key(subject: Subject) -> _Key:
    sender, client = subject.sender, subject.client
    # Numbers are compared faster than addresses.
    return sender.domain, int(client), client.version, sender.identity is Identity.HELO
