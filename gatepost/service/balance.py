"""How many connections each worker of a daemon has open, in memory that all of them see.

Workers share their listening sockets, and whoever is awake takes what comes:
an MTA that opens eight connections at once may find one worker with all of
them, for as long as they stay open. So a worker that has more than another
steps back for a moment (:class:`~gatepost.service.acceptor.Acceptor`).

A worker that hangs or has died keeps its count until it is replaced
(:class:`~gatepost.service.fleet.Timing`); so long, each connection of the
others may be taken that moment later.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import weakref
from typing import Final

_ABSENT: Final = 0xFFFFFFFF
_ITEM: Final = "I"
_ITEM_SIZE: Final = 4


class Seat:
    """One worker's count among those of the others."""

    __slots__ = ("_counts", "_number")

    def __init__(self, counts: memoryview, number: int) -> None:
        self._counts = counts
        self._number = number
        self.tell(0)

    def tell(self, connections: int) -> None:
        """So many connections are open here now."""
        self._counts[self._number] = connections

    def leave(self) -> None:
        """No more are taken here: nobody needs to step back for us."""
        self._counts[self._number] = _ABSENT

    @property
    def fuller(self) -> bool:
        """Whether another worker has fewer connections open."""
        return min(self._counts) < self._counts[self._number]


class Balance:
    """The counts of a daemon's *workers*, so many of them. Made before they are forked.

    Seats are held by record locks (fcntl(2)), which end with the process that
    has them: a dead worker's seat is free for the one that takes its place.
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._file = os.memfd_create("gatepost-balance")
        weakref.finalize(self, os.close, self._file)
        size = workers * _ITEM_SIZE
        os.truncate(self._file, size)
        self._counts = memoryview(mmap.mmap(self._file, size)).cast(_ITEM)
        for number in range(workers):
            self._counts[number] = _ABSENT

    def seat(self) -> Seat | None:
        """Take a free seat for this process, which must not have one yet; None where all are taken."""
        for number in range(self._workers):
            try:
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, number)
            except OSError:
                continue  # another worker has it
            return Seat(self._counts, number)
        return None
