"""Sockets that systemd opened for us and hands over at the start (sd_listen_fds(3))."""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping
from dataclasses import dataclass

from gatepost.config.addresses import Family, SocketAddress
from gatepost.service.daemon import ServiceError

_FIRST_DESCRIPTOR = 3


@dataclass(frozen=True, slots=True)
class Inherited:
    """One socket from systemd. ``name`` is the socket unit's FileDescriptorName, its file name unless set."""

    name: str
    socket: socket.socket

    @property
    def address(self) -> str:
        """Where it listens, written as in the configuration."""
        name = self.socket.getsockname()
        if self.socket.family == socket.AF_UNIX:
            return str(SocketAddress("unix", path=os.fsdecode(name)))
        family: Family = "inet6" if self.socket.family == socket.AF_INET6 else "inet"
        return str(SocketAddress(family, name[0], name[1]))


def inherited_sockets(
    environment: MutableMapping[str, str], first: int = _FIRST_DESCRIPTOR
) -> list[Inherited]:
    """The sockets passed to this process, none when they were meant for another.

    Removes the variables, so that no child takes them for its own. Raises
    ServiceError when what was passed is no listening stream socket.
    """
    meant_for = environment.pop("LISTEN_PID", "")
    count = environment.pop("LISTEN_FDS", "")
    names = environment.pop("LISTEN_FDNAMES", "").split(":")
    if meant_for != str(os.getpid()) or not count.isdecimal():
        return []
    found = []
    for index in range(int(count)):
        name = names[index] if index < len(names) and names[index] else "unknown"
        try:
            passed = socket.socket(fileno=first + index)
            usable = (
                passed.type == socket.SOCK_STREAM
                and passed.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1
            )
        except OSError as error:
            raise ServiceError(f"systemd passed {name}, which is no socket: {error.strerror}") from error
        if not usable:
            raise ServiceError(
                f"systemd passed {name}, which does not listen: its unit needs ListenStream= and Accept=no"
            )
        passed.setblocking(False)
        passed.set_inheritable(False)
        found.append(Inherited(name, passed))
    return found
