"""The listening side of a server in one process: it accepts, keeps count, watches for silence, and sees all off.

What is said on a connection is the business of its :class:`Peer`.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from gatepost.service.balance import Seat
from gatepost.service.instruments import EventLog, Gauge
from gatepost.service.peer import Peer

if TYPE_CHECKING:
    from gatepost.config.sections import Limits

_MIN_WATCH_INTERVAL = 0.02
_MAX_WATCH_INTERVAL = 15.0
_ACCEPT_PAUSE = 1.0
_STEP_BACK = 0.002
"""Seconds that other workers get to take a connection, where they have fewer. A busy one needs some."""
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Acceptor(ABC):
    """Serves listening sockets in the running event loop.

    Beyond ``limits.connections`` further ones wait in the listen queue. A
    connection that is silent for ``limits.idle_timeout`` seconds, or leaves a
    piece of speech half for ``limits.partial_timeout``, is closed; so is one
    on which the peer has not begun to speak within the shorter of the two.

    *gauge* tells how many connections are open; *idle_grace* is how many
    seconds one has to be silent to be closed when the server stops. *seat*
    tells how this worker compares to the others, where there are others.
    """

    def __init__(
        self,
        limits: Limits,
        log: EventLog,
        gauge: Gauge | None,
        idle_grace: float,
        seat: Seat | None = None,
    ) -> None:
        self._limits = limits
        self._log = log
        self._gauge = gauge
        self._idle_grace = idle_grace
        self._seat = seat
        self._sockets: list[socket.socket] = []
        self._connections: set[Peer] = set()
        self._opening: set[asyncio.Task[None]] = set()
        self._accepting = False
        self._stopping = False
        self._changed = asyncio.Event()
        self._watch: asyncio.TimerHandle | None = None
        self._retry: asyncio.TimerHandle | None = None
        shortest = min(limits.idle_timeout, limits.partial_timeout)
        self._watch_interval = max(_MIN_WATCH_INTERVAL, min(shortest / 4, _MAX_WATCH_INTERVAL))

    @abstractmethod
    def peer(self, sock: socket.socket) -> Peer:
        """What serves the connection *sock*, which has just been accepted."""

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._connections)

    async def start(self, sockets: Sequence[socket.socket]) -> None:
        """Accept connections on *sockets* (bound, listening) from now on."""
        self._sockets = list(sockets)
        for sock in self._sockets:
            sock.setblocking(False)
        self._accept_more()
        self._watch = asyncio.get_running_loop().call_later(self._watch_interval, self._look_around)

    def close(self) -> None:
        """Accept no more. The listening sockets are closed, not shut down: other processes may share them."""
        self._stopping = True
        self._accept_no_more()
        if self._seat is not None:
            self._seat.leave()
        if self._retry is not None:
            self._retry.cancel()
        for sock in self._sockets:
            sock.close()
        self._sockets.clear()

    async def stop(self, grace: float, hurry: asyncio.Event | None = None) -> None:
        """Close, let what is under way end within *grace* seconds, and close all connections.

        An MTA keeps its connections open, so one on which nothing is under way
        is closed once it has been silent for a moment. With *hurry*, that begins
        when it is set, or when half of *grace* is over: what comes last needs time
        too. Who has not begun to speak has that moment in any case, and no more.
        """
        self.close()
        if self._opening:
            await asyncio.wait(self._opening)
        await self._see_off(grace, hurry)
        for peer in list(self._connections):
            peer.abort()
        while self._connections:
            await self._wait_for_change(1.0)
        if self._watch is not None:
            self._watch.cancel()

    async def _see_off(self, grace: float, hurry: asyncio.Event | None) -> None:
        """Close each connection as soon as nothing is under way there, for at most *grace* seconds."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        deadline, patience = now + grace, now + grace / 2
        moment = min(self._idle_grace, grace)
        for peer in self._connections:
            peer.silent_since = now
        while self._connections and now < deadline:
            # What has arrived by now is read meanwhile.
            await self._wait_for_change(min(max(moment / 10, 0.01), deadline - now))
            now = loop.time()
            hurried = hurry is None or hurry.is_set() or now >= patience
            allowance = moment if hurried else grace
            for peer in list(self._connections):
                if peer.active:
                    peer.active = False
                    peer.silent_since = now
                silence = now - peer.silent_since
                # An MTA that has just connected speaks at once, or as soon as its machine has time for it.
                if peer.at_rest and silence >= (allowance if peer.greeted else moment):
                    peer.close()

    def lost(self, peer: Peer) -> None:
        """A connection is gone."""
        self._connections.discard(peer)
        self._changed.set()
        self._count(-1)
        if not self._accepting:
            self._accept_more()

    def _count(self, change: int) -> None:
        if self._gauge is not None:
            if change > 0:
                self._gauge.inc()
            else:
                self._gauge.dec()
        if self._seat is not None and not self._stopping:
            self._seat.tell(len(self._connections))

    async def _wait_for_change(self, seconds: float) -> None:
        self._changed.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            pass

    # Accepting.

    def _accept_more(self) -> None:
        if self._stopping or self._accepting or len(self._connections) >= self._limits.connections:
            return
        self._accepting = True
        loop = asyncio.get_running_loop()
        for sock in self._sockets:
            loop.add_reader(sock.fileno(), self._accept, sock)

    def _accept_no_more(self) -> None:
        if not self._accepting:
            return
        self._accepting = False
        loop = asyncio.get_running_loop()
        for sock in self._sockets:
            loop.remove_reader(sock.fileno())

    def _accept(self, listener: socket.socket) -> None:
        """A connection waits: take it, or let a worker that has fewer be the first to try."""
        if not self._accepting:
            return
        if self._seat is not None and self._seat.fuller:
            self._pause(_STEP_BACK, self._come_back)
        else:
            self._take(listener)

    def _come_back(self) -> None:
        """Take what nobody else has taken meanwhile: who has fewer may be busy, or hang, or be dead."""
        self._accept_more()
        for listener in self._sockets:
            if self._accepting:
                self._take(listener)

    def _take(self, listener: socket.socket) -> None:
        """Take one connection: where workers share a socket, the next one may well be another's."""
        try:
            sock, _ = listener.accept()
        except OSError as error:
            if error.errno in _EXHAUSTED:
                self._accept_later(error)
            # Otherwise another worker was faster, or the peer is gone already.
            return
        sock.setblocking(False)
        peer = self.peer(sock)
        self._connections.add(peer)
        self._count(1)
        task = asyncio.get_running_loop().create_task(self._open(peer, sock))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)
        if len(self._connections) >= self._limits.connections:
            self._accept_no_more()

    async def _open(self, peer: Peer, sock: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        peer.silent_since = loop.time()
        try:
            await loop.connect_accepted_socket(lambda: peer, sock)
        except OSError:
            # The peer was gone before we looked.
            sock.close()
            self.lost(peer)

    def _accept_later(self, error: OSError) -> None:
        self._log.event("warning", "no connection can be accepted", error=str(error))
        self._pause(_ACCEPT_PAUSE, self._accept_more)

    def _pause(self, seconds: float, then: Callable[[], None]) -> None:
        """Accept nothing for so many *seconds*, or until a connection is gone."""
        self._accept_no_more()
        if self._retry is not None:
            self._retry.cancel()
        self._retry = asyncio.get_running_loop().call_later(seconds, then)

    # Watching.

    def _look_around(self) -> None:
        """Close what has been silent for too long."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        idle, half = self._limits.idle_timeout, self._limits.partial_timeout
        for peer in list(self._connections):
            partial = peer.partial
            if partial != peer.partial_seen:
                peer.partial_seen = partial
                peer.partial_since = now
            if peer.active or peer.waiting:
                peer.active = False
                peer.silent_since = now
            allowed = idle if peer.greeted else min(idle, half)
            too_silent = now - peer.silent_since >= allowed
            too_slow = partial and now - peer.partial_since >= half
            if too_silent or too_slow:
                peer.abort()
        self._watch = loop.call_later(self._watch_interval, self._look_around)
