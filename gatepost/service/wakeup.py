"""Signals as something to read, so that a selector can wait for them beside everything else."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterable
from types import FrameType


class Wakeup:
    """From its making until ``close``, the signals *numbers* only make ``reader`` readable."""

    def __init__(self, numbers: Iterable[signal.Signals]) -> None:
        self.reader, self._writer = socket.socketpair()
        for end in self.ends:
            end.setblocking(False)
        self._arrived: set[int] = set()
        self._before = {number: signal.signal(number, self._note) for number in numbers}
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        # What wakes us is a byte; should there be no room for it, the signal is not lost.
        self._arrived.add(number)

    @property
    def ends(self) -> tuple[socket.socket, socket.socket]:
        """Both its sockets, for a child process to close."""
        return self.reader, self._writer

    def arrived(self) -> set[int]:
        """The signals that came since the last call; several of one kind count as one."""
        try:
            while len(self.reader.recv(4096)) == 4096:
                pass
        except BlockingIOError:
            pass
        arrived, self._arrived = self._arrived, set()
        return arrived

    def close(self) -> None:
        """Let the signals do again what they did before."""
        signal.set_wakeup_fd(-1)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        for end in self.ends:
            end.close()
