"""Terms that are read once and kept: they mean what they mean when each record is read for itself."""

from __future__ import annotations

import pytest
import spf
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gatepost.dns.answer import Answer
from gatepost.spf.query import MAX_TERMS
from gatepost.spf.replay import evaluate
from gatepost.spf.terms import OCTETS_A_TERM, Terms, terms_of, weight
from gatepost.spf.trace import Trace
from tests.unit.spf.suite import Zone, answer
from tests.unit.spf.test_replay import FOUR, SIX, evaluated, published, subject

OTHERS: Zone = {
    "x.example": [{"TXT": "v=spf1 ip4:192.0.2.1 -all"}, {"A": "192.0.2.1"}, {"MX": [10, "x.example"]}],
    "y.example": [{"TXT": "v=spf1 include:y.example -all"}, {"A": "203.0.113.1"}],
}


@pytest.mark.parametrize(
    ("record", "terms"),
    [
        ("v=spf1 -all", Terms("v=spf1 -all", (), False)),
        (
            "v=spf1 include:A.example. ?include:b.example include:%{d} ~all",
            Terms(
                "v=spf1 include:A.example. ?include:b.example include:%{d} ~all",
                ("a.example", "b.example"),
                False,
            ),
        ),
        ("v=spf1 x=1 X=%{d} a redirect=b.example", Terms("v=spf1 a redirect=b.example", (), True)),
        ("v=spf1 EXP=why.example -all", Terms("v=spf1 exp=why.example -all", (), False)),
    ],
)
def test_terms(record: str, terms: Terms) -> None:
    assert terms_of(record) == terms
    assert terms_of(record) == terms


def test_an_error_is_one_every_time() -> None:
    for _ in range(2):
        with pytest.raises(spf.PermError):
            terms_of("v=spf1 x=%{ -all")


@pytest.mark.parametrize(
    ("record", "number"),
    [("v=spf1", 1), ("v=spf1  a", 3), ("v=spf1 a mx", 3), ("v=spf1 " + "x" * OCTETS_A_TERM * 9, 9)],
)
def test_weight(record: str, number: int) -> None:
    assert weight(record) == number


def test_a_record_that_is_too_heavy_is_not_read() -> None:
    before = evaluated(published("v=spf1" + " a" * (MAX_TERMS - 10)))
    after = evaluated(published("v=spf1" + " a" * MAX_TERMS))
    assert before.problem != after.problem
    assert str(MAX_TERMS) in after.problem


MECHANISMS = st.tuples(
    st.sampled_from(["", "+", "-", "?", "~", "--"]),
    st.sampled_from(
        [
            "all",
            "a",
            "mx",
            "include",
            "exists",
            "ptr",
            "ip4",
            "ip6",
            "A",
            "ALL",
            "Include",
            "ipv4",
            "redirect",
            "exp",
            "x",
        ]
    ),
    st.sampled_from(
        [
            "",
            ":",
            ":-",
            ":x.example",
            ":Y.example.",
            ":example.org",
            ":%{d}",
            ":192.0.2.1",
            ":2001:db8::1",
            "=x.example",
        ]
    ),
    st.sampled_from(["", "/0", "/24", "/33", "//64", "/24//129", "/", ","]),
).map("".join)


@settings(max_examples=300, deadline=None)
@given(st.lists(MECHANISMS, max_size=6), st.sampled_from([FOUR, SIX]))
@example(["include:-", "include:example.org"], FOUR)
@example(["include:example.org", "include:y.example"], FOUR)
@example(["all", "-all:x"], SIX)
def test_kept_and_read_anew_are_the_same(terms: list[str], client: str) -> None:
    zone = {**OTHERS, **published(" ".join(["v=spf1", *terms]))}

    def known(name: str, rdtype: str) -> Answer | None:
        return answer(zone, name, rdtype)

    # A traced evaluation keeps nothing.
    traced = evaluate(subject(client), known, Trace())
    assert evaluate(subject(client), known) == traced
    assert evaluate(subject(client), known) == traced
