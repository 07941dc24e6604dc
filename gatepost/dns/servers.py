"""The servers to ask: who they are, and which of them have been silent of late."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RESOLV_CONF = Path("/etc/resolv.conf")

DNS_PORT = 53

AVOIDED_SECONDS = 10.0
"""How long a server that did not answer is asked after the others."""

PROBED_SECONDS = 2.0
"""How long the others still go first when that time is over: one question finds out whether the server answers."""

REREAD_SECONDS = 1.0
"""How long resolv.conf(5) is taken to be as it was."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server's address, ready for the socket; ``str()`` of it is for people."""

    host: str
    port: int
    family: socket.AddressFamily
    address: tuple[Any, ...]

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def server(host: str, port: int = DNS_PORT) -> Server:
    """The server at the IP address *host* (IPv6 with a scope, where it needs one); raises ValueError."""
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST
        )[0]
    except (OSError, UnicodeError):
        raise ValueError(f"{host!r} is not an IP address") from None
    return Server(host, port, family, address)


def system_servers(path: Path = RESOLV_CONF) -> list[Server]:
    """The servers of resolv.conf(5), of which nothing else is read: no search list, no options.

    What is not an IP address is passed over; a file that cannot be read names none.
    """
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    found: list[Server] = []
    for line in lines:
        words = line.split()
        if len(words) >= 2 and words[0] == "nameserver":
            try:
                found.append(server(words[1]))
            except ValueError:
                continue
    return found


class Servers:
    """Servers in order of preference, those that lately did not answer last. *clock* gives seconds."""

    __slots__ = ("_all", "_avoided", "_clock")

    def __init__(self, servers: Iterable[Server], clock: Callable[[], float]) -> None:
        self._all = tuple(dict.fromkeys(servers))
        self._avoided: dict[Server, float] = {}
        self._clock = clock

    def __len__(self) -> int:
        return len(self._all)

    def order(self) -> tuple[Server, ...]:
        """All servers, in the order in which to ask them now. It is for one question, which has to be asked."""
        if not self._avoided:
            return self._all
        now = self._clock()
        order = tuple(sorted(self._all, key=lambda each: self._avoided.get(each, now) > now))
        if self._avoided.get(order[0], now + 1) <= now:
            self._avoided[order[0]] = now + PROBED_SECONDS
        return order

    def silent(self, which: Server) -> None:
        """Ask *which* after the others for a while: it did not answer."""
        self._avoided[which] = self._clock() + AVOIDED_SECONDS

    def answered(self, which: Server) -> None:
        """Take *which* back into its place."""
        if self._avoided:
            self._avoided.pop(which, None)


class SystemServers(Servers):
    """The servers of resolv.conf(5) as it is now, not as it was at the start.

    While a host boots there may be none in it yet, and whoever gives the host
    its address later writes others.
    """

    __slots__ = ("_look_due", "_path", "_seen")

    def __init__(self, clock: Callable[[], float], path: Path = RESOLV_CONF) -> None:
        super().__init__((), clock)
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._look_due = clock()

    def __len__(self) -> int:
        self._look_again()
        return super().__len__()

    def order(self) -> tuple[Server, ...]:
        """As for any servers, from the file's present content."""
        self._look_again()
        return super().order()

    def _look_again(self) -> None:
        if self._clock() < self._look_due:
            return
        self._look_due = self._clock() + REREAD_SECONDS
        try:
            status = os.stat(self._path)
        except OSError:
            return  # those that it named last are better than none, here and below
        seen = (status.st_mtime_ns, status.st_size, status.st_ino)
        if seen != self._seen:
            self._seen = seen
            self._all = tuple(dict.fromkeys(system_servers(self._path))) or self._all
