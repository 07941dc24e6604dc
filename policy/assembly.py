"""How a policy daemon is put together from the configuration: before the fork what is read, after it what runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gatepost.config.errors import Problem
from gatepost.config.sections import Daemon
from gatepost.log import Logger
from gatepost.metrics import Metrics
from gatepost.service.daemon import Worker
from policy.handler import Handler
from policy.server import PolicyWorker
from policy.terms import Terms


@dataclass
class PolicyDaemon:
    """A daemon as the service knows it.

    ``serve`` makes its handler, and what lives with it, in a worker. ``check_all``
    finds what is wrong with things that are only read when they are needed.
    ``clock`` gives the daemon's time, in seconds since 1970.
    """

    name: str
    settings: Daemon
    serve: Callable[[Logger, Metrics, Callable[[], float]], Handler]
    files: Sequence[Path] = ()
    check_all: Callable[[], Sequence[Problem]] = list
    clock: Callable[[], float] = time.time

    def watched_files(self) -> Sequence[Path]:
        """The files that were read to build it."""
        return self.files

    def check(self) -> Sequence[Problem]:
        """What a start would not find: it takes too long."""
        return self.check_all()

    def worker(self, log: Logger, metrics: Metrics) -> Worker:
        """Make the serving side, for sockets."""
        terms = self.terms(log, metrics)
        return PolicyWorker(
            terms.handler,
            limits=terms.limits,
            log=log,
            on_internal_error=terms.on_internal_error,
            metrics=metrics,
        )

    def terms(self, log: Logger, metrics: Metrics) -> Terms:
        """Make the handler, and all that a dialogue with it needs. Called with the event loop running."""
        settings = self.settings
        handler = self.serve(log, metrics, self.clock)
        return Terms(handler, settings.limits, log, settings.on_internal_error, metrics)
