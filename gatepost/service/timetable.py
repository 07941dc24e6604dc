"""What is due when, for a loop that waits in a selector between two things to do."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(slots=True)
class _Entry:
    due: float
    action: Callable[[], None]
    interval: float | None


class Timetable:
    """Actions with their times, in seconds of *clock*; none of them takes long."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._entries: list[_Entry] = []

    def every(self, seconds: float, action: Callable[[], None]) -> None:
        """Do *action* now and then every so many *seconds*; what was missed meanwhile is not made up for."""
        self._entries.append(_Entry(self._clock(), action, seconds))

    def once(self, seconds: float, action: Callable[[], None]) -> None:
        """Do *action* in so many *seconds*."""
        self._entries.append(_Entry(self._clock() + seconds, action, None))

    def pause(self) -> float:
        """For how long nothing is due."""
        now = self._clock()
        return max(0.0, min((entry.due - now for entry in self._entries), default=3600.0))

    def do_what_is_due(self) -> None:
        """Do all whose time has come, in the order in which they were entered."""
        now = self._clock()
        for entry in [entry for entry in self._entries if entry.due <= now]:
            if entry.interval is None:
                self._entries.remove(entry)
            else:
                entry.due = now + entry.interval
            entry.action()
