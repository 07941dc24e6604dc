"""What is decided, by what is remembered and the time."""

from __future__ import annotations

import pytest

from policy.greylisting.decision import (
    Decision,
    Judgement,
    OriginRecord,
    Outcome,
    Rules,
    TripletRecord,
    judge,
)

DAY = 86_400.0
NOW = 1_700_000_000.0
RULES = Rules(delay=300, retry_window=2 * DAY, max_age=35 * DAY, auto_allow=5, auto_allow_interval=3600)
TOUCH = RULES.touch


def waiting(seconds: float) -> TripletRecord:
    """A triplet that was first seen so many seconds ago."""
    return TripletRecord(NOW - seconds, NOW - seconds, False)


def passed(seconds: float) -> TripletRecord:
    """A triplet that passed, and was last seen so many seconds ago."""
    return TripletRecord(NOW - seconds - 1000, NOW - seconds, True)


def origin(deliveries: int, counted: float = 7200, seen: float = 0, *, pinned: bool = False) -> OriginRecord:
    return OriginRecord(deliveries, NOW - counted, NOW - seen, pinned)


ANEW = TripletRecord(NOW, NOW, False)
FIRST = OriginRecord(1, NOW, NOW)


def deferred(seconds: float) -> Decision:
    return Decision(Outcome.DEFERRED, seconds)


def delayed(seconds: float) -> Decision:
    return Decision(Outcome.DELAYED, seconds)


KNOWN = Decision(Outcome.KNOWN)
AUTO = Decision(Outcome.AUTO)
PINNED = Decision(Outcome.PINNED)

CASES = [
    ("first sight", None, None, Judgement(deferred(300), ANEW)),
    ("too early", waiting(100), None, Judgement(deferred(200))),
    ("nearly", waiting(299.5), None, Judgement(deferred(0.5))),
    ("just in time", waiting(300), None, Judgement(delayed(300), waiting(300)._replace(last=NOW, passed=True), FIRST)),
    (
        "at the end of the window",
        waiting(2 * DAY),
        None,
        Judgement(delayed(2 * DAY), TripletRecord(NOW - 2 * DAY, NOW, True), FIRST),
    ),
    ("after the window", waiting(2 * DAY + 1), None, Judgement(deferred(300), ANEW)),
    ("known, seen a moment ago", passed(10), origin(2, 10), Judgement(KNOWN)),
    ("known, seen long ago", passed(34 * DAY), origin(2, 10),
     Judgement(KNOWN, TripletRecord(NOW - 34 * DAY - 1000, NOW, True))),
    ("forgotten", passed(35 * DAY + 1), None, Judgement(deferred(300), ANEW)),
    ("one more delivery", passed(10), origin(2), Judgement(KNOWN, None, OriginRecord(3, NOW, NOW))),
    ("too soon to count again", passed(10), origin(2, 3599), Judgement(KNOWN)),
    ("time to count again", passed(10), origin(2, 3600), Judgement(KNOWN, None, OriginRecord(3, NOW, NOW))),
    (
        "not counted, but seen",
        passed(10),
        OriginRecord(2, NOW - 10, NOW - TOUCH, False),
        Judgement(KNOWN, None, OriginRecord(2, NOW - 10, NOW, False)),
    ),
    ("four deliveries are too few", None, origin(4), Judgement(deferred(300), ANEW)),
    ("five are enough", None, origin(5), Judgement(AUTO)),
    ("allowed and not seen for long", None, origin(9, seen=30 * DAY),
     Judgement(AUTO, None, origin(9)._replace(last=NOW))),
    ("allowed and forgotten", None, origin(9, seen=36 * DAY), Judgement(deferred(300), ANEW)),
    ("forgotten, and begun anew", waiting(400), origin(9, seen=36 * DAY),
     Judgement(delayed(400), TripletRecord(NOW - 400, NOW, True), FIRST)),
    ("by hand", None, origin(0, pinned=True), Judgement(PINNED)),
    ("by hand, for ever", None, origin(0, seen=400 * DAY, pinned=True), Judgement(PINNED)),
    ("clock set back while it waits", waiting(-1000), None, Judgement(deferred(300), ANEW)),
    ("clock set back a little", waiting(-0.5), None, Judgement(deferred(300), ANEW)),
    ("clock set back by years", waiting(-900 * DAY), None, Judgement(deferred(300), ANEW)),
    ("clock set back, known", passed(-DAY), origin(2, 10), Judgement(KNOWN, TripletRecord(NOW, NOW, True))),
    ("clock set back, allowed", None, origin(5, -DAY, -DAY), Judgement(AUTO, None, OriginRecord(5, NOW + DAY, NOW))),
    ("clock set back, counted", passed(10), origin(2, -DAY, -DAY), Judgement(KNOWN, None, OriginRecord(2, NOW, NOW))),
]  # fmt: skip


@pytest.mark.parametrize(
    ("triplet", "source", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_decisions(triplet: TripletRecord | None, source: OriginRecord | None, expected: Judgement) -> None:
    assert judge(triplet, source, NOW, RULES) == expected


def test_the_second_recipient_of_a_message_is_no_delivery() -> None:
    assert judge(passed(10), origin(2), NOW, RULES, counts=False) == Judgement(KNOWN)
    assert judge(waiting(300), None, NOW, RULES, counts=False).origin is None


def test_without_auto_allow_origins_are_not_kept() -> None:
    rules = Rules(300, 2 * DAY, 35 * DAY, 0, 3600)
    assert judge(waiting(300), None, NOW, rules).origin is None
    assert judge(None, origin(1000), NOW, rules).decision == deferred(300)
    assert judge(None, origin(0, pinned=True), NOW, rules).decision == PINNED


def test_without_delay_everything_passes_and_is_remembered() -> None:
    rules = Rules(0, 2 * DAY, 35 * DAY, 5, 3600)
    assert judge(None, None, NOW, rules) == Judgement(delayed(0), TripletRecord(NOW, NOW, True), FIRST)


def test_a_clock_set_back_costs_one_delay_at_most() -> None:
    """A message that waited when the clock stepped back a year passes one delay after its next attempt."""
    year = 365 * DAY
    record = judge(None, None, NOW + year, RULES).triplet
    first = judge(record, None, NOW, RULES)
    assert first.decision == deferred(300)
    assert judge(first.triplet, None, NOW + 300, RULES).decision == delayed(300)


def test_a_clock_set_forward_and_back_forgets_no_promise() -> None:
    record = judge(waiting(300), None, NOW, RULES).triplet
    ahead = judge(record, None, NOW + 10 * DAY, RULES)
    assert ahead.decision == KNOWN
    back = judge(ahead.triplet, None, NOW + 60, RULES)
    assert back.decision == KNOWN
    assert judge(back.triplet, None, NOW + 34 * DAY, RULES).decision == KNOWN


def test_five_deliveries_an_hour_apart_make_a_friend() -> None:
    triplet, source, now = None, None, NOW
    outcomes = []
    for attempt in range(8):
        decision, new_triplet, new_origin = judge(triplet, source, now, RULES)
        triplet, source = new_triplet or triplet, new_origin or source
        outcomes.append(decision.outcome)
        now += 3600 if attempt else 300
    assert outcomes == [Outcome.DEFERRED, Outcome.DELAYED, *[Outcome.KNOWN] * 4, Outcome.AUTO, Outcome.AUTO]
    assert judge(None, source, now, RULES).decision == AUTO
