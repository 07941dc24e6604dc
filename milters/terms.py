"""What all sessions of a worker have in common: the daemon, its limits, and where lines and numbers go."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from milters.handler import Handler

if TYPE_CHECKING:
    from gatepost.config.sections import Limits


class EventLog(Protocol):
    """Where the engines write their few lines. A field that is None is left out."""

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


class EngineMetrics(Protocol):
    """What the engines count.

    ``message_seconds`` runs from the end of a message's header to its verdict.
    """

    @property
    def connections(self) -> Gauge:
        """Open connections."""

    @property
    def message_seconds(self) -> Histogram:
        """Seconds a message took."""

    def error(self, kind: str) -> None:
        """Something went wrong: "internal" (in the daemon) or "protocol" (the peer's fault)."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What all sessions of a worker have in common. ``clock`` gives seconds, from any starting point."""

    handler: Handler
    limits: Limits
    log: EventLog
    on_internal_error: Literal["accept", "tempfail"] = "tempfail"
    metrics: EngineMetrics | None = None
    clock: Callable[[], float] = time.monotonic
