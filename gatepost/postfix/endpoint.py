"""Where Postfix connects to: an entry of smtpd_milters, or behind check_policy_service (smtpd_milters, postconf(5))."""

from __future__ import annotations

import os.path
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from gatepost.config.addresses import SocketAddress
from gatepost.postfix.instance import Instance, Service
from gatepost.postfix.text import assignment, unbraced, words

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_ANY = frozenset({"0.0.0.0", "::"})  # noqa: S104  # compared with, not bound
_LIBMILTER = re.compile(r"(inet6?):(\d+)(?:@(\S+))?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address as written, and what it is.

    ``host`` and ``port`` for a TCP socket; ``path`` for a unix socket, as the
    system sees it, and ``seen`` as the service in its chroot writes it.
    ``fault`` says what Postfix could not read, with ``better`` as it should be.
    """

    text: str
    word: str
    host: str = ""
    port: int = 0
    path: str = ""
    seen: str = ""
    fault: str = ""
    better: str = ""
    options: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, word: str, instance: Instance, service: Service) -> Self:
        """Read one word of a list, for *service* of *instance*; ``{ADDRESS, name=value}`` brings options."""
        text, *more = words(unbraced(word)) or [""]
        options = dict(assignment(unbraced(each)) for each in more)
        transport, colon, rest = text.partition(":")
        transport = transport.lower()
        if transport in ("unix", "local") and rest:
            root = instance.queue_directory
            whole = rest
            if not rest.startswith("/") or instance.chrooted(service):
                whole = f"{root}/{rest}"
            return cls(text, word, path=_plain(whole), seen=rest, options=options)
        swapped = _LIBMILTER.fullmatch(text)
        if swapped and (swapped[3] or transport == "inet6"):
            host = swapped[3] or "::1"
            better = f"inet:[{host}]:{swapped[2]}" if ":" in host else f"inet:{host}:{swapped[2]}"
            return cls(text, word, fault="is libmilter's way to write a socket", better=better)
        if transport == "inet6":
            return cls(
                text, word, fault="begins with a word that Postfix does not know", better=f"inet:{rest}"
            )
        if transport != "inet" or not colon:
            return cls(text, word, fault="has no inet: or unix: in front", better=f"inet:{text}")
        host, _, port = rest.rpartition(":")
        host = host.removeprefix("[").removesuffix("]").lower() or "127.0.0.1"
        return cls(text, word, host=host, port=int(port) if port.isdigit() else 0, options=options)

    def meets(self, address: SocketAddress) -> bool:
        """Whether this is where a daemon with *address* listens."""
        if address.family == "unix":
            return bool(self.path) and self.path == _plain(address.path)
        return bool(self.port) and self.port == address.port and same_host(self.host, address.host)

    def means(self, address: SocketAddress) -> bool:
        """Whether this was meant for *address*, and misses it by host or chroot."""
        if address.family == "unix":
            return bool(self.seen) and _plain(self.seen) == _plain(address.path)
        return bool(self.port) and self.port == address.port


def same_host(one: str, listening: str) -> bool:
    """Whether a connection to *one* reaches what listens on *listening*."""
    listening = listening.lower()
    if one == listening or (listening in _ANY):
        return True
    return "localhost" in (one, listening) and {one, listening} <= _LOOPBACK


def _plain(path: str) -> str:
    """*path* in one spelling; /var/run is /run everywhere."""
    path = os.path.normpath(path)
    return path.removeprefix("/var") if path.startswith("/var/run/") else path
