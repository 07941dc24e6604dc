"""From what was read on both sides of a connection to the events of its recording. No I/O."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from gatepost.recording.events import End, Left, Raw, Side
from policy.recording.events import Answered, Asked, Clock, Event

_LONGEST = 2**20
"""Octets after which what has no end is taken for no request and no answer."""
_NAME = re.compile(rb"[A-Za-z0-9_.-]+")
_ACTION = b"action="


class Tap:
    """Listens in on one connection. *clock* gives the time in seconds since 1970.

    ``events`` is what has happened since it was last emptied.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.events: list[Event] = []
        self.left: Left | None = None
        self._clock = clock
        self._told = 0
        self._last: Event | None = None
        self._rest = {side: bytearray() for side in Side}

    @property
    def between_messages(self) -> bool:
        """Whether nothing is half said, and the service had the last word."""
        return not any(self._rest.values()) and isinstance(self._last, Answered)

    def read(self, side: Side, data: bytes) -> None:
        """*side* sent *data*."""
        rest = self._rest[side]
        searched = max(len(rest) - 1, 0)
        rest += data
        start = 0
        while (end := rest.find(b"\n\n", max(start, searched))) >= 0:
            self._note(_said(side, bytes(rest[start : end + 2])))
            start = end + 2
        del rest[:start]
        if len(rest) > _LONGEST:
            self._note(Raw(side, bytes(rest)))
            rest.clear()

    def leave(self, side: Side, end: End) -> None:
        """*side* left the connection. Only who left first is noted."""
        if self.left is not None:
            return
        for each, rest in self._rest.items():
            if rest:
                self._note(Raw(each, bytes(rest)))
                rest.clear()
        self.left = Left(side, end)
        self._note(self.left)

    def _note(self, event: Event) -> None:
        if isinstance(event, Asked) and (now := int(self._clock())) != self._told:
            self._told = now
            self.events.append(Clock(now))
        self.events.append(event)
        self._last = event


def _said(side: Side, octets: bytes) -> Event:
    """What *octets*, up to and with an empty line, are."""
    if side is Side.DAEMON:
        action = octets[len(_ACTION) : -2]
        sound = octets.startswith(_ACTION) and b"\n" not in action
        return Answered(action) if sound else Raw(side, octets)
    pairs = [line.partition(b"=") for line in octets[:-2].split(b"\n")]
    if all(equals and _NAME.fullmatch(name) for name, equals, _ in pairs):
        return Asked(tuple((name.decode(), value) for name, _, value in pairs))
    return Raw(side, octets)
