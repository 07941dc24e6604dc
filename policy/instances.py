"""What a service remembers about the messages that are under way."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

Value = TypeVar("Value")
Key = str | tuple[str, ...]

LONGEST_KEY = 4096
"""Characters of a key that is remembered. A request may have many more, but not one that an MTA makes of a message."""


def is_too_long(key: Key) -> bool:
    """Whether *key* is not worth its memory: thousands of such would take hundreds of megabytes."""
    return (len(key) if isinstance(key, str) else sum(map(len, key))) > LONGEST_KEY


class Instances(Generic[Value]):
    """Values by message: at most *limit* of them, each for *seconds* after it was last asked for.

    The longest unused go first, and keys that are too long are not remembered
    at all. *clock* gives seconds, from any starting point.
    """

    def __init__(self, limit: int, seconds: float, clock: Callable[[], float]) -> None:
        self._limit = limit
        self._seconds = seconds
        self._clock = clock
        self._values: OrderedDict[Key, tuple[float, Value]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: Key) -> Value | None:
        """The value of *key*, if it is still remembered."""
        entry = self._values.get(key)
        now = self._clock()
        if entry is None or now - entry[0] > self._seconds:
            return None
        self._values[key] = (now, entry[1])
        self._values.move_to_end(key)
        return entry[1]

    def put(self, key: Key, value: Value) -> None:
        """Remember *value*, and forget what is too old or too much."""
        if is_too_long(key):
            return
        now = self._clock()
        self._values[key] = (now, value)
        self._values.move_to_end(key)
        while self._values:
            used, _ = next(iter(self._values.values()))
            if len(self._values) <= self._limit and now - used <= self._seconds:
                return
            self._values.popitem(last=False)
