"""What all connections of a worker have in common: the service, its limits, and where lines and numbers go."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from gatepost.service.instruments import EventLog, ServerMetrics
from policy.handler import DUNNO, Handler

if TYPE_CHECKING:
    from gatepost.config.sections import Limits

DEFER = "DEFER_IF_PERMIT 4.3.0 Internal error, please try again later"
"""Temporary failure of what nothing else refuses (access(5))."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What all connections of a worker have in common. ``clock`` gives seconds, from any starting point."""

    handler: Handler
    limits: Limits
    log: EventLog
    on_internal_error: Literal["accept", "tempfail"] = "accept"
    metrics: ServerMetrics | None = None
    clock: Callable[[], float] = time.monotonic

    @property
    def in_trouble(self) -> str:
        """The action where the service has none to give."""
        return DUNNO if self.on_internal_error == "accept" else DEFER
