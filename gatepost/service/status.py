"""What the supervisor can tell of itself and its workers: metric families, and whether all is well."""

from __future__ import annotations

import json
import os
import platform
import resource
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

from gatepost import __version__
from gatepost.metrics import shared_collector
from gatepost.service.channel import Usage, own_usage
from gatepost.service.http import Response, not_found

_OPENMETRICS_TYPE: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"


@dataclass(slots=True)
class Tally:
    """What the supervisor counts. ``reloaded`` is Unix time; ``spent`` the CPU seconds of dead workers."""

    restarts: int = 0
    reload_attempts: int = 0
    reload_failures: int = 0
    reload_succeeded: bool = True
    reloaded: float = field(default_factory=time.time)
    spent: float = 0.0

    def reloaded_now(self) -> None:
        """A reload has succeeded."""
        self.reload_succeeded, self.reloaded = True, time.time()

    def reloaded_in_vain(self) -> None:
        """A reload has left the old state."""
        self.reload_succeeded = False
        self.reload_failures += 1


@dataclass(frozen=True, slots=True)
class WorkerState:
    """One worker as ``/healthz`` tells it. ``silent`` is how many seconds ago it last said something."""

    slot: int
    pid: int
    silent: float
    ready: bool
    usage: Usage


class ServiceCollector(Collector):
    """Metrics of the whole service: build, reloads, restarts, and what all its processes use."""

    def __init__(self, daemon: str, tally: Tally, workers: Callable[[], Iterable[WorkerState]]) -> None:
        self._daemon = daemon
        self._tally = tally
        self._workers = workers
        self._started = time.time()

    def collect(self) -> Iterator[Metric]:
        """All families with their present values."""
        name, tally = [self._daemon], self._tally
        own, workers = own_usage(), list(self._workers())

        def gauge(title: str, text: str, value: float) -> Metric:
            family = GaugeMetricFamily(title, text, labels=["daemon"])
            family.add_metric(name, value)
            return family

        def counter(title: str, text: str, value: float) -> Metric:
            family = CounterMetricFamily(title, text, labels=["daemon"])
            family.add_metric(name, value)
            return family

        build = GaugeMetricFamily(
            "gatepost_build_info", "Which gatepost this is; always 1.", labels=["daemon", "version", "python"]
        )
        build.add_metric([self._daemon, __version__, platform.python_version()], 1)
        yield build
        yield gauge("gatepost_workers", "Worker processes, draining ones included.", len(workers))
        yield counter("gatepost_worker_restarts", "Workers that died and were replaced.", tally.restarts)
        yield counter("gatepost_config_reload_attempts", "Reloads tried.", tally.reload_attempts)
        yield counter(
            "gatepost_config_reload_failures", "Reloads that left the old state.", tally.reload_failures
        )
        yield gauge(
            "gatepost_config_reload_last_successful",
            "Whether the last reload succeeded.",
            tally.reload_succeeded,
        )
        yield gauge(
            "gatepost_config_reload_success_timestamp_seconds",
            "When the configuration in force was read, as Unix time.",
            tally.reloaded,
        )
        yield from self._processes(own, workers)

    def _processes(self, own: Usage, workers: Sequence[WorkerState]) -> Iterator[Metric]:
        everyone = [own, *(worker.usage for worker in workers)]
        yield GaugeMetricFamily(
            "process_resident_memory_bytes",
            "Resident memory of supervisor and workers; pages that they share count for each.",
            sum(usage.resident for usage in everyone),
        )
        yield GaugeMetricFamily(
            "process_open_fds",
            "Open descriptors of supervisor and workers.",
            sum(u.descriptors for u in everyone),
        )
        yield GaugeMetricFamily(
            "process_max_fds",
            "Descriptors that one process may open.",
            resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        )
        yield CounterMetricFamily(
            "process_cpu_seconds",
            "CPU time of supervisor and workers, ended workers included.",
            self._tally.spent + sum(usage.cpu for usage in everyone),
        )
        yield GaugeMetricFamily(
            "process_start_time_seconds", "When the service began, as Unix time.", self._started
        )
        resident = GaugeMetricFamily(
            "gatepost_worker_resident_memory_bytes",
            "Resident memory of a worker.",
            labels=["daemon", "worker"],
        )
        descriptors = GaugeMetricFamily(
            "gatepost_worker_open_fds", "Open descriptors of a worker.", labels=["daemon", "worker"]
        )
        for worker in workers:
            labels = [self._daemon, str(worker.slot)]
            resident.add_metric(labels, worker.usage.resident)
            descriptors.add_metric(labels, worker.usage.descriptors)
        yield resident
        yield descriptors


@dataclass(frozen=True, slots=True)
class _Further(Collector):
    """What the daemon in force has to tell beside its workers' counts."""

    collect_all: Callable[[], Iterable[Metric]]

    def collect(self) -> Iterable[Metric]:
        return self.collect_all()

    def describe(self) -> Iterable[Metric]:
        # Nothing can be told before there is a daemon; and without this, registering asks it.
        return ()


class Status:
    """Answers ``/metrics`` and ``/healthz``.

    *directory* is where the workers count. *problem* gives "" while all is
    well, else what is not, in a few words. *further* gives what the daemon
    itself adds to the metrics.
    """

    def __init__(
        self,
        daemon: str,
        directory: Path,
        tally: Tally,
        workers: Callable[[], Iterable[WorkerState]],
        problem: Callable[[], str],
        further: Callable[[], Iterable[Metric]] = tuple,
    ) -> None:
        self._daemon = daemon
        self._workers = workers
        self._problem = problem
        self._registry = CollectorRegistry()
        self._registry.register(ServiceCollector(daemon, tally, workers))
        self._registry.register(_Further(further))
        self._registry.register(shared_collector(directory))

    def answer(self, path: str, accept: str) -> Response:
        """The response to a request for *path*."""
        if path == "/metrics":
            return self._metrics(accept)
        if path == "/healthz":
            return self._health()
        return not_found()

    def _metrics(self, accept: str) -> Response:
        kinds = [part.partition(";")[0].strip().lower() for part in accept.split(",")]
        if "application/openmetrics-text" in kinds:
            content = openmetrics.generate_latest(self._registry)  # type: ignore[no-untyped-call]
            return Response(200, _OPENMETRICS_TYPE, content)
        return Response(200, CONTENT_TYPE_PLAIN_0_0_4, generate_latest(self._registry))

    def _health(self) -> Response:
        problem = self._problem()
        content = {
            "status": problem or "ok",
            "daemon": self._daemon,
            "version": __version__,
            "pid": os.getpid(),
            "workers": [
                {"worker": w.slot, "pid": w.pid, "ready": w.ready, "silent_seconds": round(w.silent, 1)}
                for w in self._workers()
            ],
        }
        return Response(503 if problem else 200, "application/json", json.dumps(content).encode() + b"\n")
