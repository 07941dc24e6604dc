from __future__ import annotations

from gatepost.dns.budget import Budget
from tests.harness.clock import Seconds
from tests.unit.dns.support import settings


def test_so_many_questions_and_no_more() -> None:
    budget = Budget(settings(message_queries=2), Seconds())
    assert [bool(budget.spend()) for _ in range(4)] == [False, False, True, True]
    assert budget.queries_left == 0


def test_no_question_after_the_deadline() -> None:
    clock = Seconds()
    budget = Budget(settings(message_timeout=20.0), clock)
    clock.now += 19.9
    assert budget.spend() == ""
    clock.now += 0.1
    assert "time" in budget.spend()
    assert budget.seconds_left <= 0


def test_each_check_of_a_message_has_the_whole_allowance() -> None:
    first = Budget(settings(message_queries=1), Seconds())
    second = first.another()
    assert [bool(first.spend()), bool(second.spend()), bool(second.spend())] == [False, False, True]
    assert first.party is second.party is second.another().party is not Budget(settings()).party
