"""The asyncio engine: one process's milter server. What is said on a connection is :mod:`milters.connection`."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Literal

from gatepost.service.acceptor import Acceptor
from gatepost.service.instruments import EventLog, ServerMetrics
from milters.connection import Connection
from milters.handler import Handler
from milters.terms import Terms

if TYPE_CHECKING:
    from gatepost.config.sections import Limits

PROGRESS_INTERVAL = 10.0
"""Seconds between two signs of life while a verdict is waited for."""
FINISH_TIMEOUT = 240.0
"""Seconds after which a verdict is waited for no longer. Postfix gives up after 300 (milter_content_timeout)."""
IDLE_GRACE = 1.0
"""Seconds of silence between messages after which a connection is closed when the daemon stops."""


class MilterWorker(Acceptor):
    """Serves one handler on listening sockets, in the running event loop, within *limits*."""

    def __init__(
        self,
        handler: Handler,
        *,
        limits: Limits,
        log: EventLog,
        on_internal_error: Literal["accept", "tempfail"] = "tempfail",
        metrics: ServerMetrics | None = None,
        progress_interval: float = PROGRESS_INTERVAL,
        finish_timeout: float = FINISH_TIMEOUT,
        idle_grace: float = IDLE_GRACE,
    ) -> None:
        super().__init__(limits, log, None if metrics is None else metrics.connections, idle_grace)
        self.terms = Terms(handler, limits, log, on_internal_error, metrics)
        self.progress_interval = progress_interval
        self.finish_timeout = finish_timeout

    def peer(self, sock: socket.socket) -> Connection:
        """An MTA has connected."""
        return Connection(self, sock)
