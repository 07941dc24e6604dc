"""What greylisting counts."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

from gatepost.metrics import Metrics


class Counts:
    """The counters of one worker, beside those that every daemon has.

    ``store_errors`` counts failures of the store, ``entries`` is how many
    entries it holds.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._daemon = metrics.daemon
        self._requests = Counter(
            "gatepost_greylist_requests",
            "Delivery attempts, by what became of them.",
            ("daemon", "outcome"),
            registry=metrics.registry,
        )
        self._children: dict[str, Counter] = {}
        self.store_errors = Counter(
            "gatepost_greylist_store_errors",
            "Failures of the store; mail passes meanwhile.",
            ("daemon",),
            registry=metrics.registry,
        ).labels(metrics.daemon)
        self.entries = Gauge(
            "gatepost_greylist_entries",
            "Entries in the store, counted once a minute.",
            ("daemon",),
            registry=metrics.registry,
            multiprocess_mode="livemostrecent",
        ).labels(metrics.daemon)

    def outcome(self, outcome: str) -> None:
        """Count one attempt; *outcome* is a word of ours."""
        child = self._children.get(outcome)
        if child is None:
            child = self._children[outcome] = self._requests.labels(self._daemon, outcome)
        child.inc()
