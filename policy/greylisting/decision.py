"""What is decided about a delivery attempt, from what is remembered and the time. No store, no clock.

Times are seconds since 1970. Clocks step: a remembered time that lies in the
future counts as now, and is written so, or a message would wait until the
clock arrives there.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple


class Outcome(StrEnum):
    """What becomes of a delivery attempt."""

    DEFERRED = "deferred"
    """It has to come again."""
    DELAYED = "delayed"
    """It came again in time: it passes, for the first time."""
    KNOWN = "known"
    """It passed before."""
    AUTO = "auto"
    """Its origin has delivered often enough."""
    PINNED = "pinned"
    """Its origin was allowed by the administrator's hand."""


class Decision(NamedTuple):
    """``seconds`` still to wait where deferred, waited where delayed, otherwise 0."""

    outcome: Outcome
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Rules:
    """The times and numbers that decide; all times in seconds.

    ``auto_allow`` deliveries make an origin pass at once, 0 none; of those
    within ``auto_allow_interval`` one counts.
    """

    delay: float
    retry_window: float
    max_age: float
    auto_allow: int
    auto_allow_interval: float

    @property
    def touch(self) -> float:
        """How far the time of the last sight may lag behind: most passes then write nothing."""
        return self.max_age / 500


class TripletRecord(NamedTuple):
    """What is remembered of a triplet: when it was first and last seen, and whether it has passed."""

    first: float
    last: float
    passed: bool

    def expires(self, rules: Rules) -> float:
        """When it is forgotten."""
        return self.last + rules.max_age if self.passed else self.first + rules.retry_window


class OriginRecord(NamedTuple):
    """What is remembered of an origin.

    Its deliveries, when the last of them was counted, when it was last seen,
    and whether it was allowed by hand.
    """

    deliveries: int
    counted: float
    last: float
    pinned: bool = False

    def expires(self, rules: Rules) -> float:
        """When it is forgotten."""
        return float("inf") if self.pinned else self.last + rules.max_age


class Judgement(NamedTuple):
    """A decision, and the records to write for it; None leaves a record as it is."""

    decision: Decision
    triplet: TripletRecord | None = None
    origin: OriginRecord | None = None


_AUTO: Final = Decision(Outcome.AUTO)
_KNOWN: Final = Decision(Outcome.KNOWN)
_PINNED: Final = Judgement(Decision(Outcome.PINNED))


def judge(
    triplet: TripletRecord | None,
    origin: OriginRecord | None,
    now: float,
    rules: Rules,
    counts: bool = True,
) -> Judgement:
    """Decide about one attempt at the time *now*.

    *counts* says that a pass is a delivery of its own: the second recipient of
    a message is none.
    """
    if origin is not None:
        if origin.pinned:
            return _PINNED
        if now - origin.last > rules.max_age:
            origin = None
        elif 0 < rules.auto_allow <= origin.deliveries:
            return Judgement(_AUTO, origin=_touched(origin, now, rules))
    if triplet is None or now > triplet.expires(rules):
        if rules.delay > 0:
            return Judgement(Decision(Outcome.DEFERRED, rules.delay), TripletRecord(now, now, False))
        triplet = TripletRecord(now, now, False)
    delivered = _delivered(origin, now, rules) if counts and rules.auto_allow else None
    if triplet.passed:
        fresh = 0 <= now - triplet.last < rules.touch
        written = None if fresh else TripletRecord(min(triplet.first, now), now, True)
        return Judgement(_KNOWN, written, delivered)
    first = min(triplet.first, now)
    waited = now - first
    if waited < rules.delay:
        written = TripletRecord(first, now, False) if first != triplet.first else None
        return Judgement(Decision(Outcome.DEFERRED, rules.delay - waited), written)
    return Judgement(Decision(Outcome.DELAYED, waited), TripletRecord(first, now, True), delivered)


def _touched(origin: OriginRecord, now: float, rules: Rules) -> OriginRecord | None:
    """The origin as seen now; None where what is remembered is near enough."""
    if 0 <= now - origin.last < rules.touch:
        return None
    return origin._replace(last=now)


def _delivered(origin: OriginRecord | None, now: float, rules: Rules) -> OriginRecord | None:
    """The origin after one more delivery; None where that changes nothing."""
    if origin is None:
        return OriginRecord(1, now, now)
    counted = min(origin.counted, now)
    if now - counted >= rules.auto_allow_interval:
        return OriginRecord(origin.deliveries + 1, now, now)
    touched = _touched(origin, now, rules)
    if counted != origin.counted:
        touched = (touched or origin)._replace(counted=counted)
    return touched
