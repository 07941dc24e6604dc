"""Whose question is asked next, where more are waiting than can be under way at a time.

A stranger whose name servers are silent can hold many places for seconds. So a
message's first question goes before the further ones of all others; further
ones are asked side by side only while half of the places are free, and never
more than a few at a time. While there are fewer messages than half of the
places, none of them ever waits for its first. (DMARC checks SPF and DKIM side
by side, each with an allowance of its own: there a message counts for two.)
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Hashable
from typing import Final

PLACES: Final = 2048
"""Questions under way at a time; each holds one file descriptor. Half are more than ``connections`` by default."""

SHARE: Final = 16
"""Questions of one message that are under way at a time: one check asks about 10 exchanges at once."""


class Turn:
    """A question's place, or its wait for one. ``granted`` says which."""

    __slots__ = ("granted", "over", "party", "waiter")

    def __init__(self) -> None:
        self.granted = False
        self.over = False
        self.party: Hashable = None
        self.waiter: asyncio.Future[None] | None = None

    async def come(self, seconds: float) -> bool:
        """Wait for at most *seconds* until it has come; gives whether it has."""
        if not self.granted:
            loop = asyncio.get_running_loop()
            self.waiter = waiter = loop.create_future()
            timer = loop.call_later(seconds, _wake, waiter)
            try:
                await waiter
            finally:
                timer.cancel()
                self.waiter = None
        return self.granted


class Turns:
    """Gives *places* to parties, which are messages: whoever shares an allowance."""

    def __init__(self, places: int = PLACES, share: int = SHARE) -> None:
        self._free = places
        self._reserve = places // 2
        self._share = share
        self._held: dict[Hashable, int] = {}
        self._waiting: dict[Hashable, deque[Turn]] = {}
        # Who waits, in the order of their turns: parties that hold nothing, and those that may have more.
        self._first: dict[Hashable, None] = {}
        self._further: dict[Hashable, None] = {}

    def __len__(self) -> int:
        """How many parties hold a place or wait for one."""
        return len(self._held.keys() | self._waiting.keys())

    def ask(self, party: Hashable) -> Turn:
        """A turn for *party*: granted at once, or to be waited for. ``give_back`` it in either case."""
        turn = Turn()
        self.join(turn, party)
        return turn

    def join(self, turn: Turn, party: Hashable) -> None:
        """Let *turn* be for *party* too: it comes when the first of those that it is for has one."""
        if turn.granted:
            return
        held = self._held.get(party, 0)
        # Where there is room, nobody of the same right is waiting for it.
        if self._free > (self._reserve if held else 0) and held < self._share:
            self._grant(turn, party)
        else:
            self._waiting.setdefault(party, deque()).append(turn)
            self._line_up(party)

    def give_back(self, turn: Turn) -> None:
        """The question has been answered, or is not to be asked any more."""
        turn.over = True
        if not turn.granted:
            return  # its party finds out when the turn would come
        held = self._held[turn.party] - 1
        if held:
            self._held[turn.party] = held
        else:
            del self._held[turn.party]
        self._free += 1
        self._line_up(turn.party)
        while (ring := self._next_ring()) is not None:
            party = next(iter(ring))
            del ring[party]
            queue = self._waiting[party]
            # What others got the answer to meanwhile, or nobody wants any more, costs the party no turn.
            while queue and (queue[0].granted or queue[0].over):
                queue.popleft()
            if queue:
                self._grant(queue.popleft(), party)
            if not queue:
                del self._waiting[party]
            self._line_up(party)

    def _next_ring(self) -> dict[Hashable, None] | None:
        if self._first and self._free:
            return self._first
        return self._further if self._further and self._free > self._reserve else None

    def _grant(self, turn: Turn, party: Hashable) -> None:
        turn.granted = True
        turn.party = party
        self._free -= 1
        self._held[party] = self._held.get(party, 0) + 1
        if turn.waiter is not None:
            _wake(turn.waiter)

    def _line_up(self, party: Hashable) -> None:
        """Put *party* where it belongs; who stands there already keeps its place."""
        held = self._held.get(party, 0)
        right = None
        if party in self._waiting and held < self._share:
            right = self._further if held else self._first
        for ring in (self._first, self._further):
            if ring is right:
                ring.setdefault(party)
            else:
                ring.pop(party, None)


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
