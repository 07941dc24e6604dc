"""Where lines go: a file descriptor that is never waited for."""

from __future__ import annotations

import os
import socket
import stat


class Sink:
    """Where lines go: one file descriptor, written to without ever waiting where that is possible."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._own: int | None = None
        self._socket: socket.socket | None = None
        self._cut = False
        kind = os.fstat(descriptor).st_mode
        if stat.S_ISSOCK(kind):
            self._socket = socket.socket(fileno=os.dup(descriptor))
        elif stat.S_ISFIFO(kind):
            # A description of our own: the flag would otherwise hold for all who share this pipe.
            try:
                self._descriptor = self._own = os.open(
                    f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC
                )
            except OSError:
                pass  # no /proc, or not allowed: writes may then wait for the reader

    def write(self, line: bytes) -> bool:
        """Write *line*; False when it could not be written whole."""
        try:
            if self._socket is not None:
                return self._socket.send(line, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL) == len(line)
            if self._cut:  # a full disk took only the beginning of a line: end it
                line = b"\n" + line
            written = os.write(self._descriptor, line)
        except OSError:
            return False
        self._cut = written < len(line)
        return not self._cut

    def close(self) -> None:
        """Let go of what was opened here; the descriptor that was given stays open."""
        if self._socket is not None:
            self._socket.close()
        if self._own is not None:
            os.close(self._own)
            self._own = None


def under_journal(descriptor: int) -> bool:
    """Whether *descriptor* is the stream that systemd tells of in JOURNAL_STREAM (systemd.exec(5))."""
    told = os.environ.get("JOURNAL_STREAM")
    if not told:
        return False
    status = os.fstat(descriptor)
    return told == f"{status.st_dev}:{status.st_ino}"
