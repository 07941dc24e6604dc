"""What one check of a mail message may cost in DNS: a number of questions, and seconds."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gatepost.config.sections import Dns


class Budget:
    """The allowance of one check of a message: ``message_queries`` questions, ``message_timeout`` from its creation.

    A question answered from the cache or from a zone file costs nothing; any
    other costs one, whatever CNAMEs and retries lie behind it. Checks with the
    same ``party`` are of one message, and share its turns
    (:class:`~gatepost.dns.turns.Turns`).
    """

    __slots__ = ("_clock", "_deadline", "_queries", "_settings", "party")

    def __init__(self, settings: Dns, clock: Callable[[], float] = time.monotonic) -> None:
        self.party = object()
        self._settings = settings
        self._clock = clock
        self._deadline = clock() + settings.message_timeout
        self._queries = settings.message_queries

    def another(self) -> Budget:
        """The whole allowance once more, for another check of the same message."""
        other = Budget(self._settings, self._clock)
        other.party = self.party
        return other

    @property
    def seconds_left(self) -> float:
        """Seconds until the deadline; zero or less once it has passed."""
        return self._deadline - self._clock()

    @property
    def queries_left(self) -> int:
        """Questions that may still be asked."""
        return self._queries

    def spend(self) -> str:
        """Take one question out of the allowance. Gives "", or in one line why there is none left."""
        if self._queries <= 0:
            return "the message has asked all the DNS questions it may"
        if self.seconds_left <= 0:
            return "the time for the message's DNS questions is over"
        self._queries -= 1
        return ""
