"""What a daemon counts, in Prometheus's terms.

One :class:`Metrics` a worker. Children (a metric with its label values) are
looked up once and kept, for a look-up costs more than counting. Label values
are words of ours: result names, verdicts, record types. Should a stranger's
text ever get here, it counts as ``other``, and so does everything beyond
64 values of one metric.

Workers count into small files of a directory that they share
(:func:`share_through`), which :func:`shared_collector` adds up. Without that,
as in tests, everything stays in the process.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, values
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

MESSAGE_SECONDS: Final = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.3, 1, 3, 10, 30)
DNS_SECONDS: Final = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 5, 10)

_MOST_VALUES: Final = 64
_WORD = re.compile(r"[A-Za-z0-9_.-]{1,40}").fullmatch
_OTHER: Final = "other"

# What prometheus_client calls its files, by kind and mode of metric, and how large they are until they grow.
_FILES: Final = ("counter", "gauge_livemostrecent", "gauge_livesum", "histogram")
_FILE_SIZE: Final = 64 * 1024


def share_through(directory: Path, slot: int) -> None:
    """Let all metrics made from here on in this process count into *directory*, as number *slot*.

    The number stands for the process: no two live processes may have the
    same, and one that takes over a dead one's number counts on where that
    stopped, so that restarts leave no files behind.

    Raises OSError where there is no room for the files, and changes nothing
    then. They are given all their room now: they are written through memory,
    and a disk that is full when a page is first touched kills the process.
    """
    for kind in _FILES:
        _reserve(directory / f"{kind}_{slot}.db")
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(directory)
    # The class is looked up whenever a metric is made, so it can be chosen after the import.
    values.ValueClass = values.MultiProcessValue(process_identifier=lambda: slot)  # type: ignore[no-untyped-call]


def _reserve(file: Path) -> None:
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        os.posix_fallocate(descriptor, 0, _FILE_SIZE)
    finally:
        os.close(descriptor)


def shared_collector(directory: Path) -> Collector:
    """The sum of what all workers counted into *directory*."""
    return MultiProcessCollector(None, str(directory))  # type: ignore[no-untyped-call]


def forget_worker(directory: Path, slot: int) -> None:
    """Drop what only held while the process lived (open connections); what it counted stays."""
    mark_process_dead(slot, str(directory))  # type: ignore[no-untyped-call]


def _label(value: str, known: int) -> str:
    return value if known < _MOST_VALUES and _WORD(value) is not None else _OTHER


class Metrics:
    """The metrics of one worker of *daemon*.

    ``connections`` (a gauge: ``inc``, ``dec``), ``message_seconds`` (a
    histogram: ``observe``) and ``headers_stripped`` (a counter) are used as
    they are. It is also the observer of a DNS resolver: ``query``, ``cache``.
    """

    def __init__(self, daemon: str) -> None:
        self.daemon = daemon
        self.registry = CollectorRegistry()

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, ("daemon", *labels), registry=self.registry)

        self._messages = counter("gatepost_messages", "Messages judged, by verdict.", "verdict")
        self._results = counter(
            "gatepost_results", "Results of authentication methods (RFC 8601).", "method", "result"
        )
        self._errors = counter("gatepost_errors", "Things that went wrong, by kind.", "kind")
        self._queries = counter(
            "gatepost_dns_queries", "DNS questions sent, by type and outcome.", "type", "outcome"
        )
        self._hits = counter("gatepost_dns_cache_hits", "DNS questions answered from the cache.").labels(
            daemon
        )
        self._misses = counter("gatepost_dns_cache_misses", "DNS questions not in the cache.").labels(daemon)
        self.headers_stripped = counter(
            "gatepost_headers_stripped", "Header fields removed because a stranger claimed our name."
        ).labels(daemon)
        self.connections = Gauge(
            "gatepost_connections",
            "Open connections.",
            ("daemon",),
            registry=self.registry,
            multiprocess_mode="livesum",
        ).labels(daemon)
        self.message_seconds = Histogram(
            "gatepost_message_seconds",
            "From the end of the header, or from a policy request, to the verdict, in seconds.",
            ("daemon",),
            registry=self.registry,
            buckets=MESSAGE_SECONDS,
        ).labels(daemon)
        self.dns_seconds = Histogram(
            "gatepost_dns_seconds",
            "From a DNS question to its answer, in seconds.",
            ("daemon",),
            registry=self.registry,
            buckets=DNS_SECONDS,
        ).labels(daemon)
        self._verdict_children: dict[str, Counter] = {}
        self._result_children: dict[tuple[str, str], Counter] = {}
        self._error_children: dict[str, Counter] = {}
        self._query_children: dict[tuple[str, str], Counter] = {}
        self.foresee("internal", "protocol")

    def verdict(self, verdict: str) -> Counter:
        """The counter of messages with this verdict (``accept``, ``tempfail`` …)."""
        child = self._verdict_children.get(verdict)
        if child is None:
            known = _label(verdict, len(self._verdict_children))
            child = self._messages.labels(self.daemon, known)
            self._verdict_children[known] = child
        return child

    def result(self, method: str, result: str) -> Counter:
        """The counter of this method's results, such as ``dkim`` and ``pass``."""
        child = self._result_children.get((method, result))
        if child is None:
            size = len(self._result_children)
            key = (_label(method, size), _label(result, size))
            child = self._results.labels(self.daemon, *key)
            self._result_children[key] = child
        return child

    def foresee(self, *kinds: str) -> None:
        """Show these kinds of errors from the start: a counter that begins with its first error shows no increase."""
        for kind in kinds:
            self._error_children[kind] = self._errors.labels(self.daemon, kind)

    def error(self, kind: str) -> None:
        """Count something that went wrong: ``internal``, ``protocol``, ``signing`` …"""
        child = self._error_children.get(kind)
        if child is None:
            known = _label(kind, len(self._error_children))
            child = self._errors.labels(self.daemon, known)
            self._error_children[known] = child
        child.inc()

    def query(self, rdtype: str, outcome: str, seconds: float) -> None:
        """Count one DNS question, how it ended, and how long it took."""
        child = self._query_children.get((rdtype, outcome))
        if child is None:
            size = len(self._query_children)
            key = (_label(rdtype, size), _label(outcome, size))
            child = self._queries.labels(self.daemon, *key)
            self._query_children[key] = child
        child.inc()
        self.dns_seconds.observe(seconds)

    def cache(self, hit: bool) -> None:
        """Count one question to the DNS cache."""
        (self._hits if hit else self._misses).inc()
