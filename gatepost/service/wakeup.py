"""Signals as something to read, so that a selector can wait for them beside everything else."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterable


class Wakeup:
    """From its making until ``close``, the signals *numbers* only make ``reader`` readable."""

    def __init__(self, numbers: Iterable[signal.Signals]) -> None:
        self.reader, self._writer = socket.socketpair()
        for end in self.ends:
            end.setblocking(False)
        self._before = {number: signal.signal(number, lambda _number, _frame: None) for number in numbers}
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)

    @property
    def ends(self) -> tuple[socket.socket, socket.socket]:
        """Both its sockets, for a child process to close."""
        return self.reader, self._writer

    def arrived(self) -> set[int]:
        """The signals that came since the last call; several of one kind count as one."""
        try:
            return set(self.reader.recv(4096))
        except BlockingIOError:
            return set()

    def close(self) -> None:
        """Let the signals do again what they did before."""
        signal.set_wakeup_fd(-1)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        for end in self.ends:
            end.close()
