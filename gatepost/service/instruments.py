"""Where servers write their few lines and count, as they see it: the log and the metrics are made elsewhere."""

from __future__ import annotations

from typing import Literal, Protocol


class EventLog(Protocol):
    """Where servers write their few lines. A field that is None is left out."""

    def event(
        self, level: Literal["debug", "info", "warning", "error"], message: str, /, **fields: object
    ) -> None:
        """Write one line: *message*, then the fields."""

    def failure(self, message: str, error: BaseException, /, **fields: object) -> None:
        """Write one line about something of ours that broke, with where *error* came from."""


class Gauge(Protocol):
    """A number that goes up and down."""

    def inc(self) -> None:
        """One more."""

    def dec(self) -> None:
        """One less."""


class Histogram(Protocol):
    """A distribution."""

    def observe(self, amount: float, /) -> None:
        """One more value."""


class ServerMetrics(Protocol):
    """What servers count.

    ``message_seconds`` runs from the end of a message's header to its verdict,
    or from a policy request to its answer.
    """

    @property
    def connections(self) -> Gauge:
        """Open connections."""

    @property
    def message_seconds(self) -> Histogram:
        """Seconds a message took."""

    def error(self, kind: str) -> None:
        """Something went wrong: "internal" (in the daemon) or "protocol" (the peer's fault)."""
