"""What the service asks of a daemon, and what it tells when it cannot go on."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Protocol

from prometheus_client import Metric

from gatepost.config.settings import Config
from gatepost.log import Logger
from gatepost.metrics import Metrics


class ServiceError(Exception):
    """The daemon cannot run. The text is one line for the operator, with what to do about it."""


class Worker(Protocol):
    """The serving side of a daemon, alive in one process.

    All methods run on the process's event loop. The sockets belong to all
    workers together: closing one's own descriptor is fine, ``shutdown`` and
    removing a unix socket's file are not.
    """

    async def start(self, sockets: Sequence[socket.socket]) -> None:
        """Accept connections on *sockets* (bound, listening, non-blocking) from now on."""

    def close(self) -> None:
        """Accept no more, from now on. Connections that are open go on until :meth:`stop`."""

    async def stop(self, grace: float, hurry: asyncio.Event | None = None) -> None:
        """Close, finish what is in flight within *grace* seconds, and cut what is left.

        While *hurry* is not set, others serve and nobody waits for the end: a
        connection on which something may still come need not be closed.
        """


class Daemon(Protocol):
    """A daemon built from the configuration, keys and tables read. It holds no socket, thread or event loop.

    It is made once, before the workers are forked, so that they share its memory.
    """

    name: str

    def watched_files(self) -> Sequence[Path]:
        """The files that were read to build it; a change to one of them reloads the daemon."""

    def collect(self) -> Iterable[Metric]:
        """What ``/metrics`` shows beside what workers count. The supervisor asks at each scrape, so be quick."""

    def worker(self, log: Logger, metrics: Metrics) -> Worker:
        """Make the serving side. Called in the worker's process, with its event loop running."""


Build = Callable[[Config], Daemon]
"""Makes the daemon from the configuration. Raises ConfigError for what the operator can mend."""
