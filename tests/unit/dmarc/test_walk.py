"""The tree walk and the organizational domain (§4.10, §4.10.2), with the examples of the text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.dmarc.walk import MAX_QUERIES, targets, walk
from gatepost.dns.answer import Outcome
from tests.unit.dmarc.support import Zone, run

REJECT = "v=DMARC1; p=reject"


def test_the_example_of_a_long_name() -> None:
    assert targets("a.b.c.d.e.f.g.h.i.j.mail.example.com") == [
        "a.b.c.d.e.f.g.h.i.j.mail.example.com", "g.h.i.j.mail.example.com", "h.i.j.mail.example.com",
        "i.j.mail.example.com", "j.mail.example.com", "mail.example.com", "example.com", "com",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("domain", "number"),
    [("com", 1), ("example.com", 2), ("a.b.c.d.e.f.g", 7), ("a.b.c.d.e.f.g.h", 8), ("a.b.c.d.e.f.g.h.i", 8)],
)
def test_number_of_queries(domain: str, number: int) -> None:
    assert len(targets(domain)) == number


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=120).map(".".join))
def test_never_more_than_eight(domain: str) -> None:
    names = targets(domain)
    assert len(names) <= MAX_QUERIES
    assert names[0] == domain
    assert all(domain.endswith(name) for name in names)


@pytest.mark.parametrize(
    ("domain", "zone", "organization"),
    [
        # the examples at the end of §4.10.2
        (
            "a.mail.example.com",
            {"_dmarc.mail.example.com": REJECT, "_dmarc.example.com": REJECT},
            "example.com",
        ),
        (
            "a.mail.example.com",
            {"_dmarc.mail.example.com": f"{REJECT}; psd=n", "_dmarc.example.com": REJECT},
            "mail.example.com",
        ),
        ("a.mail.example.com", {"_dmarc.com": f"{REJECT}; psd=y"}, "example.com"),
        # rule 2: the domain one label below
        ("mail.example.com", {"_dmarc.example.com": f"{REJECT}; psd=y"}, "mail.example.com"),
        ("a.mail.example.com", {"_dmarc.example.com": f"{REJECT}; psd=y"}, "mail.example.com"),
        (
            "a.mail.example.com",
            {"_dmarc.mail.example.com": REJECT, "_dmarc.com": f"{REJECT}; psd=y"},
            "example.com",
        ),
        # … but not where the walk started
        ("bank.example", {"_dmarc.bank.example": f"{REJECT}; psd=y"}, "bank.example"),
        (
            "bank.example",
            {"_dmarc.bank.example": f"{REJECT}; psd=y", "_dmarc.example": f"{REJECT}; psd=y"},
            "bank.example",
        ),
        # rule 3: the fewest labels
        (
            "a.b.c.example.com",
            {"_dmarc.b.c.example.com": REJECT, "_dmarc.c.example.com": REJECT},
            "c.example.com",
        ),
        # nothing found: the start itself
        ("a.b.example.com", {}, "a.b.example.com"),
        # several records are none; other TXT records are no DMARC records
        (
            "a.example.com",
            {"_dmarc.a.example.com": REJECT, "_dmarc.example.com": [REJECT, REJECT]},
            "a.example.com",
        ),
        (
            "a.example.com",
            {"_dmarc.a.example.com": "hello", "_dmarc.example.com": [REJECT, "other"]},
            "example.com",
        ),
        ("a.example.com", {"_dmarc.example.com": f"{REJECT}; psd=u"}, "example.com"),
    ],
)
def test_organizational_domain(domain: str, zone: Zone, organization: str) -> None:
    assert run(walk(domain), zone).organizational_domain == organization


def test_the_walk_ends_at_a_decided_record() -> None:
    zone = {
        "_dmarc.b.example.com": f"{REJECT}; psd=n",
        "_dmarc.example.com": REJECT,
        "_dmarc.com": Outcome.SERVFAIL,
    }
    found = run(walk("a.b.example.com"), zone)
    assert [item.domain for item in found.records] == ["b.example.com"]
    assert found.failed == ()


def test_failures_and_several_records_are_told() -> None:
    zone = {"_dmarc.a.example.com": Outcome.TIMEOUT, "_dmarc.example.com": [REJECT, REJECT]}
    found = run(walk("a.example.com"), zone)
    assert (found.failed, found.ambiguous) == (("a.example.com",), ("example.com",))
