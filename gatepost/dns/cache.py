"""Answers kept for as long as their TTL allows, within bounds of number and of size."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from gatepost.dns.answer import Answer

Key = tuple[str, str]
"""Name (lower case, no final dot) and record type."""

ENTRY_BYTES = 512
"""What an entry weighs beside its records: objects, key and table, measured roughly."""

_MEAN_BYTES = 1024
_LEAST_BYTES = 1024 * 1024


class Cache:
    """At most *entries* answers that weigh at most *size* bytes together; the least recently used go first.

    *size* defaults to 1 kB an entry, and at least 1 MB in all, which ordinary
    answers do not reach: it is there for names that answer with 64 kB each.
    *clock* gives seconds on a scale that never goes back.
    """

    __slots__ = ("_clock", "_entries", "_kept", "_limit", "_weight")

    def __init__(
        self, entries: int, *, size: int | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._entries = entries
        self._limit = max(entries * _MEAN_BYTES, _LEAST_BYTES) if size is None else size
        self._clock = clock
        self._kept: OrderedDict[Key, tuple[float, Answer, int]] = OrderedDict()
        self._weight = 0

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def weight(self) -> int:
        """Bytes that all answers kept weigh, by estimate."""
        return self._weight

    def get(self, key: Key) -> Answer | None:
        """The answer kept for *key*, or None where there is none or its time has passed."""
        entry = self._kept.get(key)
        if entry is None:
            return None
        if self._clock() >= entry[0]:
            self._drop(key)
            return None
        self._kept.move_to_end(key)
        return entry[1]

    def put(self, key: Key, answer: Answer, ttl: float) -> None:
        """Keep *answer* for *ttl* seconds; with none left, or too heavy to keep, it is not kept at all."""
        self._drop(key)
        weighs = weight(answer)
        if ttl <= 0 or self._entries <= 0 or weighs > self._limit:
            return
        self._kept[key] = (self._clock() + ttl, answer, weighs)
        self._weight += weighs
        while len(self._kept) > self._entries or self._weight > self._limit:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: Key) -> None:
        entry = self._kept.pop(key, None)
        if entry is not None:
            self._weight -= entry[2]


def weight(answer: Answer) -> int:
    """Estimate the bytes that *answer* occupies with its question, where both are kept."""
    return ENTRY_BYTES + sum(map(_weigh, answer.records))


def _weigh(record: object) -> int:
    """Estimate the bytes that *record* occupies."""
    if isinstance(record, (bytes, str)):
        return 64 + len(record)
    return 256
