"""The asyncio engine: one process's milter server.

It accepts, keeps count, and watches for silence; what is said on a connection
is the business of :mod:`milters.connection`.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from milters.connection import Connection
from milters.handler import Handler
from milters.terms import EngineMetrics, EventLog, Terms

if TYPE_CHECKING:
    from gatepost.config.sections import Limits

PROGRESS_INTERVAL = 10.0
"""Seconds between two signs of life while a verdict is waited for."""
FINISH_TIMEOUT = 240.0
"""Seconds after which a verdict is waited for no longer. Postfix gives up after 300 (milter_content_timeout)."""
IDLE_GRACE = 1.0
"""Seconds of silence between messages after which a connection is closed when the daemon stops."""

_MAX_WATCH_INTERVAL = 15.0
_ACCEPT_PAUSE = 1.0
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class MilterWorker:
    """Serves one handler on listening sockets, in the running event loop.

    Beyond ``limits.connections`` further ones wait in the listen queue. A
    connection that is silent for ``limits.idle_timeout`` seconds, or leaves a
    packet half for ``limits.partial_timeout``, is closed; so is one that has
    not negotiated within the shorter of the two.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        limits: Limits,
        log: EventLog,
        on_internal_error: Literal["accept", "tempfail"] = "tempfail",
        metrics: EngineMetrics | None = None,
        progress_interval: float = PROGRESS_INTERVAL,
        finish_timeout: float = FINISH_TIMEOUT,
        idle_grace: float = IDLE_GRACE,
    ) -> None:
        self.terms = Terms(handler, limits, log, on_internal_error, metrics)
        self.progress_interval = progress_interval
        self.finish_timeout = finish_timeout
        self._idle_grace = idle_grace
        self._sockets: list[socket.socket] = []
        self._connections: set[Connection] = set()
        self._opening: set[asyncio.Task[None]] = set()
        self._accepting = False
        self._stopping = False
        self._changed = asyncio.Event()
        self._watch: asyncio.TimerHandle | None = None
        self._retry: asyncio.TimerHandle | None = None
        shortest = min(limits.idle_timeout, limits.partial_timeout)
        self._watch_interval = min(shortest / 4, _MAX_WATCH_INTERVAL)

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

    async def stop(self, grace: float) -> None:
        """Accept no more, let messages under way end within *grace* seconds, and close everything.

        An MTA keeps its connection for a whole SMTP session, so one that is
        between two messages is closed once it has been silent for a moment. The
        listening sockets are closed here, not shut down: other processes may
        share them.
        """
        self._stopping = True
        self._accept_no_more()
        if self._retry is not None:
            self._retry.cancel()
        for sock in self._sockets:
            sock.close()
        self._sockets.clear()
        if self._opening:
            await asyncio.wait(self._opening)
        loop = asyncio.get_running_loop()
        now = loop.time()
        deadline = now + grace
        allowance = min(self._idle_grace, grace)
        for connection in self._connections:
            connection.silent_since = now
        while self._connections and now < deadline:
            for connection in list(self._connections):
                if connection.active:
                    connection.active = False
                    connection.silent_since = now
                silence = now - connection.silent_since
                if connection.at_rest and (silence >= allowance or not connection.negotiated):
                    connection.close()
            await self._wait_for_change(min(max(allowance / 10, 0.01), deadline - now))
            now = loop.time()
        for connection in list(self._connections):
            connection.abort()
        while self._connections:
            await self._wait_for_change(1.0)
        if self._watch is not None:
            self._watch.cancel()

    def lost(self, connection: Connection) -> None:
        """A connection is gone."""
        self._connections.discard(connection)
        self._changed.set()
        if self.terms.metrics is not None:
            self.terms.metrics.connections.dec()
        if not self._accepting:
            self._accept_more()

    async def _wait_for_change(self, seconds: float) -> None:
        self._changed.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            pass

    # Accepting.

    def _accept_more(self) -> None:
        if self._stopping or self._accepting or len(self._connections) >= self.terms.limits.connections:
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
        """Take one connection: where workers share a socket, the next one may well be another's."""
        if not self._accepting:
            return
        try:
            sock, _ = listener.accept()
        except OSError as error:
            if error.errno in _EXHAUSTED:
                self._accept_later(error)
            # Otherwise another worker was faster, or the peer is gone already.
            return
        sock.setblocking(False)
        connection = Connection(self, sock)
        self._connections.add(connection)
        if self.terms.metrics is not None:
            self.terms.metrics.connections.inc()
        task = asyncio.get_running_loop().create_task(self._open(connection, sock))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)
        if len(self._connections) >= self.terms.limits.connections:
            self._accept_no_more()

    async def _open(self, connection: Connection, sock: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        connection.silent_since = loop.time()
        try:
            await loop.connect_accepted_socket(lambda: connection, sock)
        except OSError:
            # The peer was gone before we looked.
            sock.close()
            self.lost(connection)

    def _accept_later(self, error: OSError) -> None:
        self._accept_no_more()
        self.terms.log.event("warning", "no connection can be accepted", error=str(error))
        self._retry = asyncio.get_running_loop().call_later(_ACCEPT_PAUSE, self._accept_more)

    # Watching.

    def _look_around(self) -> None:
        """Close what has been silent for too long."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        limits = self.terms.limits
        idle, partial = limits.idle_timeout, limits.partial_timeout
        for connection in list(self._connections):
            packet = connection.partial
            if packet != connection.partial_packet:
                connection.partial_packet = packet
                connection.partial_since = now
            if connection.active or connection.waiting:
                connection.active = False
                connection.silent_since = now
            if not connection.negotiated:
                allowed = min(idle, partial)
            else:
                allowed = idle
            too_silent = now - connection.silent_since >= allowed
            too_slow = packet and now - connection.partial_since >= partial
            if too_silent or too_slow:
                connection.abort()
        self._watch = loop.call_later(self._watch_interval, self._look_around)
