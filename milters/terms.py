"""What all sessions of a worker have in common: the daemon, its limits, and where lines and numbers go."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from gatepost.service.instruments import EventLog, ServerMetrics
from milters.handler import Handler, Step
from milters.negotiation import Agreement, macro_names, negotiate

if TYPE_CHECKING:
    from gatepost.config.sections import Limits

_OFFERS_KEPT = 16
"""Offers whose agreement is kept: a site has one kind of MTA, and each connection brings the same offer."""


@dataclass(slots=True)
class Terms:
    """What all sessions of a worker have in common. ``clock`` gives seconds, from any starting point.

    Nothing of it changes once it is made. What is the same for all sessions is
    found out once: which macros the daemon reads (``macro_names``), whether it
    is shown recipients, header and body, and what comes of an MTA's offer.
    """

    handler: Handler
    limits: Limits
    log: EventLog
    on_internal_error: Literal["accept", "tempfail"] = "tempfail"
    metrics: ServerMetrics | None = None
    clock: Callable[[], float] = time.monotonic
    macro_names: frozenset[str] = field(init=False)
    shows_recipients: bool = field(init=False)
    shows_headers: bool = field(init=False)
    shows_body: bool = field(init=False)
    agree: Callable[[int, int, int], tuple[Agreement, bytes]] = field(init=False)
    """The agreement on an offer (version, actions, steps), with the packet that says so; as ``negotiate`` raises."""

    def __post_init__(self) -> None:
        needs = self.handler.needs
        self.macro_names = macro_names(needs)
        self.shows_recipients = Step.RCPT in needs.steps
        self.shows_headers = Step.HEADERS in needs.steps
        self.shows_body = Step.BODY in needs.steps

        def agree(version: int, actions: int, steps: int) -> tuple[Agreement, bytes]:
            agreement = negotiate(version, actions, steps, needs)
            return agreement, agreement.answer()

        self.agree = lru_cache(maxsize=_OFFERS_KEPT)(agree)
