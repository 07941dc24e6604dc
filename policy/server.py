"""One process's policy server. What is said on a connection is :mod:`policy.connection`."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Literal

from gatepost.service.acceptor import Acceptor
from gatepost.service.balance import Seat
from gatepost.service.instruments import EventLog, ServerMetrics
from policy.connection import Connection
from policy.handler import Handler
from policy.terms import Terms

if TYPE_CHECKING:
    from gatepost.config.sections import Limits

IDLE_GRACE = 0.1
"""Seconds of silence after which a connection is closed when the service stops.

Postfix keeps one open for the next client, and opens another when it finds it closed.
"""


class PolicyWorker(Acceptor):
    """Serves one handler on listening sockets, in the running event loop, within *limits*.

    Requests on one connection are answered one after the other, those on
    different connections side by side.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        limits: Limits,
        log: EventLog,
        on_internal_error: Literal["accept", "tempfail"] = "accept",
        metrics: ServerMetrics | None = None,
        idle_grace: float = IDLE_GRACE,
        seat: Seat | None = None,
    ) -> None:
        super().__init__(limits, log, None if metrics is None else metrics.connections, idle_grace, seat)
        self.terms = Terms(handler, limits, log, on_internal_error, metrics)

    def peer(self, sock: socket.socket) -> Connection:
        """An MTA has connected."""
        return Connection(self, sock)

    async def stop(self, grace: float, hurry: asyncio.Event | None = None) -> None:
        """As every server, but always in a hurry, as nothing is lost by that; and then the handler is closed."""
        await super().stop(grace)
        try:
            await self.terms.handler.close()
        except Exception as error:
            self.terms.log.failure("internal error", error)
