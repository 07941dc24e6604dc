"""What supervisor and worker say to each other, over a socket pair with message boundaries.

The worker says that it is ready, and from then on once a heartbeat that its
event loop turns, with what it uses. The supervisor says when to stop, and
whether others serve already; the worker says when it has closed: what connects
from then on comes to others. Each notices by the closed end that the other is
gone.
"""

from __future__ import annotations

import os
import resource
import socket
import struct
from typing import NamedTuple

READY = b"R"
CLOSED = b"C"
RETIRE = b"T"
DRAIN = b"D"
QUIT = b"Q"

_HEARTBEAT = struct.Struct("=cIQd")
_PAGE = resource.getpagesize()


class Usage(NamedTuple):
    """What a process uses: open descriptors, resident octets, and seconds of CPU since it began."""

    descriptors: int = 0
    resident: int = 0
    cpu: float = 0.0


NO_USAGE = Usage()


def pair() -> tuple[socket.socket, socket.socket]:
    """Both ends of a new channel, non-blocking."""
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in ends:
        end.setblocking(False)
    return ends


def own_usage() -> Usage:
    """What this process uses now. Asked by the process itself: others may not look after a change of user."""
    times = resource.getrusage(resource.RUSAGE_SELF)
    try:
        descriptors = len(os.listdir("/proc/self/fd")) - 1
        with open("/proc/self/statm", "rb") as file:
            resident = int(file.read().split()[1]) * _PAGE
    except OSError:  # /proc is not mounted, or no descriptor is left
        descriptors, resident = 0, times.ru_maxrss * 1024
    return Usage(descriptors, resident, times.ru_utime + times.ru_stime)


def heartbeat(usage: Usage) -> bytes:
    """The heartbeat that tells *usage*."""
    return _HEARTBEAT.pack(b"H", *usage)


def read_heartbeat(message: bytes) -> Usage | None:
    """What a heartbeat tells; None when *message* is something else."""
    if len(message) != _HEARTBEAT.size:
        return None
    return Usage(*_HEARTBEAT.unpack(message)[1:])


def send(end: socket.socket, message: bytes) -> bool:
    """Send without waiting; False when the other end is gone or does not read."""
    try:
        return end.send(message, socket.MSG_NOSIGNAL) == len(message)
    except OSError:
        return False


def receive(end: socket.socket) -> bytes | None:
    """The next message, b"" when the other end is gone, None when there is none now."""
    try:
        return end.recv(64)
    except BlockingIOError:
        return None
    except OSError:
        return b""
