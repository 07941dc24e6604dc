"""The RFC 7208 test suite, on the evaluation alone."""

from __future__ import annotations

from functools import cache, partial

import pytest

from gatepost.networks import parse_address
from gatepost.spf.identity import NoIdentityError, sender_of
from gatepost.spf.outcomes import Outcomes
from gatepost.spf.replay import Missing, evaluate
from gatepost.spf.result import SpfResult
from gatepost.spf.subject import Subject
from gatepost.spf.trace import Trace
from tests.unit.spf.suite import Case, answer, cases

CASES = list(cases())


def evaluated(
    case: Case, trace: Trace | None = None, outcomes: Outcomes | None = None, times: int = 1
) -> SpfResult | None:
    """The result, in the end; None for a sender without a domain."""
    client = parse_address(case.host)
    assert client is not None
    try:
        sender = sender_of(case.helo, case.mail_from)
    except NoIdentityError:
        return None
    answers = cache(partial(answer, case.zone))
    for _ in range(times):
        outcome = evaluate(Subject(client, sender), answers, trace, outcomes)
    assert not isinstance(outcome, Missing)
    return outcome


def test_all_of_it_is_here() -> None:
    assert len(CASES) == 203


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case: Case) -> None:
    result = evaluated(case)
    verdict = result.verdict if result else "none"
    assert verdict in case.verdicts
    if case.explanation is not None and verdict == "fail":
        assert result is not None
        assert result.explanation == case.explanation


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_trace_changes_nothing(case: Case) -> None:
    assert evaluated(case, Trace()) == evaluated(case)


def test_outcomes_that_are_kept_change_nothing() -> None:
    outcomes = Outcomes()
    for case in CASES:
        assert evaluated(case, outcomes=outcomes, times=2) == evaluated(case)
    assert len(outcomes) > len(CASES) // 4
