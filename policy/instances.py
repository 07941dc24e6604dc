"""What a service remembers about the messages that are under way."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Instances(Generic[Value]):
    """Values by message: at most *limit* of them, each for *seconds* after it was last asked for.

    The longest unused go first. *clock* gives seconds, from any starting point.
    """

    def __init__(self, limit: int, seconds: float, clock: Callable[[], float]) -> None:
        self._limit = limit
        self._seconds = seconds
        self._clock = clock
        self._values: OrderedDict[Hashable, tuple[float, Value]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: Hashable) -> Value | None:
        """The value of *key*, if it is still remembered."""
        entry = self._values.get(key)
        now = self._clock()
        if entry is None or now - entry[0] > self._seconds:
            return None
        self._values[key] = (now, entry[1])
        self._values.move_to_end(key)
        return entry[1]

    def put(self, key: Hashable, value: Value) -> None:
        """Remember *value*, and forget what is too old or too much."""
        now = self._clock()
        self._values[key] = (now, value)
        self._values.move_to_end(key)
        while self._values:
            used, _ = next(iter(self._values.values()))
            if len(self._values) <= self._limit and now - used <= self._seconds:
                return
            self._values.popitem(last=False)
