"""One connection of a server: octets between a transport and whoever understands them.

All that is said to one read goes out in one write, and TCP is told to
acknowledge at once: with several small writes, or with delayed
acknowledgements, every message would wait 40 ms twice.
"""

from __future__ import annotations

import asyncio
import socket
from abc import ABC, abstractmethod
from collections.abc import Awaitable
from typing import Any, Protocol, cast

MAX_HELD = 64 * 1024
"""Octets that may wait for an answer to be found before the peer is read no more."""

_QUICKACK = getattr(socket, "TCP_QUICKACK", None)  # Linux


class Owner(Protocol):
    """Who has the connections."""

    def lost(self, peer: Peer) -> None:
        """The connection is gone."""


class Speech(Protocol):
    """What is said on a connection, as far as any server has to know of it."""

    @property
    def partial(self) -> int:
        """A number for the piece of speech of which only part has arrived, another for each; 0 for none."""

    @property
    def held(self) -> int:
        """How many octets were read and wait."""

    def close(self) -> None:
        """The connection is gone: let go of what is under way."""


class Peer(asyncio.Protocol, ABC):
    """One peer that has connected, and the *speech* that is fed what it says.

    ``active`` is set with every read; whoever watches for silence clears it.
    """

    def __init__(self, owner: Owner, sock: socket.socket, speech: Speech) -> None:
        self._owner = owner
        self._socket = sock
        self._speech = speech
        self._rearm = _QUICKACK is not None and sock.family != socket.AF_UNIX
        self._transport: asyncio.Transport | None = None
        self._awaited: asyncio.Future[Any] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._write_blocked = False
        self._reading = True
        self.active = True
        # For whoever watches: since when the connection is silent, and since when which piece of speech is half.
        self.silent_since = 0.0
        self.partial_since = 0.0
        self.partial_seen = 0

    # What is spoken, for the protocol at hand.

    @abstractmethod
    def received(self, data: bytes) -> None:
        """Something was read."""

    @abstractmethod
    def arrived(self, result: Any, error: BaseException | None) -> None:
        """What was waited for is there, or will never be, for the reason *error*."""

    @property
    @abstractmethod
    def at_rest(self) -> bool:
        """Whether nothing is under way that should be let end."""

    @property
    @abstractmethod
    def greeted(self) -> bool:
        """Whether the peer has begun to speak our protocol."""

    # What the event loop says.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The transport is there."""
        self._transport = cast(asyncio.Transport, transport)
        if self._socket.family != socket.AF_UNIX:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        """Something was read."""
        self.active = True
        if self._rearm:
            # Linux forgets this setting as it goes: it holds for about one exchange (tcp(7)).
            self._socket.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)  # type: ignore[arg-type]
        self.received(data)

    def pause_writing(self) -> None:
        """The peer does not read what we write: we do not read what it writes."""
        self._write_blocked = True
        self._regulate()

    def resume_writing(self) -> None:
        """The peer reads again."""
        self._write_blocked = False
        self._regulate()

    def connection_lost(self, _error: Exception | None) -> None:
        """The connection is gone, by whose doing ever."""
        self._transport = None
        self._let_go()
        self._owner.lost(self)

    # What the owner asks.

    @property
    def partial(self) -> int:
        """As :attr:`Speech.partial`."""
        return self._speech.partial

    @property
    def held(self) -> int:
        """As :attr:`Speech.held`."""
        return self._speech.held

    @property
    def waiting(self) -> bool:
        """Whether it is on us that the peer waits."""
        return self._awaited is not None

    def close(self) -> None:
        """Close once all is written."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close now."""
        if self._transport is not None:
            self._transport.abort()

    # Waiting for what takes its time.

    def _await(self, awaitable: Awaitable[Any]) -> None:
        self._awaited = future = asyncio.ensure_future(awaitable)
        future.add_done_callback(self._done)

    def _done(self, future: asyncio.Future[Any]) -> None:
        # Asked for in any case: an exception that nobody fetches is complained about by the event loop.
        error = None if future.cancelled() else future.exception()
        if future is not self._awaited:
            return
        self._wait_no_longer()
        if future.cancelled():
            error = RuntimeError("what was waited for was cancelled")
        self.arrived(future.result() if error is None else None, error)

    def _wait_no_longer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        future, self._awaited = self._awaited, None
        if future is not None:
            future.cancel()

    def _let_go(self) -> None:
        """End what is under way where it stands."""
        self._speech.close()
        self._wait_no_longer()

    def _regulate(self) -> None:
        """Read on only while there is room for what comes."""
        reading = not self._write_blocked and self.held <= MAX_HELD
        transport = self._transport
        if reading == self._reading or transport is None or transport.is_closing():
            return
        self._reading = reading
        if reading:
            transport.resume_reading()
        else:
            transport.pause_reading()

    def _name(self) -> str | None:
        """The peer's address for the log; None where it has none."""
        name = self._transport.get_extra_info("peername") if self._transport is not None else None
        return str(name[0]) if name else None
