"""What all sessions of a worker have in common: the daemon, its limits, and where lines and numbers go."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from gatepost.service.instruments import EventLog, ServerMetrics
from milters.handler import Handler

if TYPE_CHECKING:
    from gatepost.config.sections import Limits


@dataclass(frozen=True, slots=True)
class Terms:
    """What all sessions of a worker have in common. ``clock`` gives seconds, from any starting point."""

    handler: Handler
    limits: Limits
    log: EventLog
    on_internal_error: Literal["accept", "tempfail"] = "tempfail"
    metrics: ServerMetrics | None = None
    clock: Callable[[], float] = time.monotonic
