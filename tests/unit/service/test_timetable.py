"""When things are due, on a clock that the test turns."""

from __future__ import annotations

from gatepost.service.timetable import Timetable


class Hands:
    """A clock's hands, and what was done when."""

    def __init__(self) -> None:
        self.now = 100.0
        self.done: list[tuple[float, str]] = []
        self.timetable = Timetable(lambda: self.now)

    def note(self, what: str) -> None:
        self.done.append((self.now - 100, what))

    def run(self, until: float) -> None:
        """Do as a loop does: wait for as long as nothing is due, then do what is."""
        while (after := self.now + self.timetable.pause()) <= 100 + until:
            self.now = after
            self.timetable.do_what_is_due()


def test_each_in_its_time() -> None:
    hands = Hands()
    hands.timetable.every(2, lambda: hands.note("often"))
    hands.timetable.every(5, lambda: hands.note("seldom"))
    hands.timetable.once(3, lambda: hands.note("once"))
    hands.run(6)
    assert hands.done == [
        (0, "often"), (0, "seldom"), (2, "often"), (3, "once"), (4, "often"), (5, "seldom"), (6, "often"),
    ]  # fmt: skip


def test_what_was_missed_is_not_made_up_for() -> None:
    hands = Hands()
    hands.timetable.every(1, lambda: hands.note("tick"))
    hands.now += 50
    hands.timetable.do_what_is_due()
    assert hands.done == [(50, "tick")]
    assert hands.timetable.pause() == 1


def test_what_is_overdue_does_not_wait() -> None:
    hands = Hands()
    hands.timetable.once(1, lambda: hands.note("late"))
    hands.now += 5
    assert hands.timetable.pause() == 0


def test_an_action_may_enter_another() -> None:
    hands = Hands()
    hands.timetable.once(1, lambda: hands.timetable.once(1, lambda: hands.note("second")))
    hands.run(5000)
    assert hands.done == [(2, "second")]


def test_nothing_to_do() -> None:
    assert Timetable(lambda: 0.0).pause() > 0
