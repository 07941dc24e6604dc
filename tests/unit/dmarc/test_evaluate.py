"""Discovery, alignment, policy (§4.10.1, §4.10.2, §5.3, Appendix B), and RFC 7489's answers beside them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.dmarc.evaluate import TREE_WALK, Evaluation, Identifiers, Verdict, by_suffix_list, evaluate
from gatepost.dmarc.record import Policy
from gatepost.dns.answer import Outcome
from tests.unit.dmarc.support import Zone, run

REJECT = "v=DMARC1; p=reject"
LISTED = by_suffix_list(lambda domain: ".".join(domain.split(".")[-2:]))
EXISTS = "v=spf1 -all"


def judged(domain: str, zone: Zone, spf: str = "", dkim: tuple[str, ...] = (), **more: Any) -> Evaluation:
    method = more.pop("method", TREE_WALK)
    sample = more.pop("sample", 0.0)
    return run(evaluate(domain, Identifiers(spf, dkim, **more), method, sample), zone)


@pytest.mark.parametrize(
    ("domain", "zone", "published", "place"),
    [
        (
            "example.com",
            {"_dmarc.example.com": "v=DMARC1; p=reject; sp=none; np=none"},
            Policy.REJECT,
            "example.com",
        ),
        (
            "a.example.com",
            {"_dmarc.example.com": "v=DMARC1; p=reject; sp=quarantine", "a.example.com": EXISTS},
            Policy.QUARANTINE,
            "example.com",
        ),
        (
            "a.example.com",
            {"_dmarc.example.com": "v=DMARC1; p=none; sp=quarantine; np=reject", "a.example.com": EXISTS},
            Policy.QUARANTINE,
            "example.com",
        ),
        (
            "a.example.com",
            {"_dmarc.example.com": "v=DMARC1; p=none; sp=quarantine; np=reject"},
            Policy.REJECT,
            "example.com",
        ),
        (
            "a.example.com",
            {"_dmarc.example.com": "v=DMARC1; p=none; sp=quarantine"},
            Policy.QUARANTINE,
            "example.com",
        ),
        ("a.example.com", {"_dmarc.example.com": "v=DMARC1; p=reject"}, Policy.REJECT, "example.com"),
        # an empty non-terminal exists (RFC 8020)
        (
            "a.example.com",
            {"_dmarc.example.com": "v=DMARC1; p=none; np=reject", "x.a.example.com": EXISTS},
            Policy.NONE,
            "example.com",
        ),
        # the author's own record goes before its organization's
        (
            "a.example.com",
            {"_dmarc.a.example.com": "v=DMARC1; p=none", "_dmarc.example.com": "v=DMARC1; p=reject"},
            Policy.NONE,
            "a.example.com",
        ),
        # the public suffix's where the organization has none
        (
            "a.foo.bank.example",
            {"_dmarc.bank.example": f"{REJECT}; sp=quarantine; psd=y", "a.foo.bank.example": EXISTS},
            Policy.QUARANTINE,
            "bank.example",
        ),
        (
            "foo.bank.example",
            {"_dmarc.bank.example": f"{REJECT}; psd=y", "_dmarc.foo.bank.example": "v=DMARC1; p=none"},
            Policy.NONE,
            "foo.bank.example",
        ),
        # a broken policy, with and without reports wanted
        (
            "example.com",
            {"_dmarc.example.com": "v=DMARC1; p=bad; rua=mailto:a@example.com"},
            Policy.NONE,
            "example.com",
        ),
    ],
)
def test_discovery(domain: str, zone: Zone, published: Policy, place: str) -> None:
    result = judged(domain, zone)
    assert (result.verdict, result.policy, result.policy_domain) == (Verdict.FAIL, published, place)


@pytest.mark.parametrize(
    ("domain", "zone", "reason"),
    [
        ("example.com", {}, "no record"),
        ("example.com", {"_dmarc.example.com": [REJECT, REJECT]}, "several records"),
        ("example.com", {"_dmarc.example.com": "v=DMARC1; p=bad"}, "record without a valid policy"),
    ],
)
def test_dmarc_does_not_apply(domain: str, zone: Zone, reason: str) -> None:
    result = judged(domain, zone, spf=domain)
    assert (result.verdict, result.reason) == (Verdict.NONE, reason)


@pytest.mark.parametrize(
    ("domain", "tags", "spf", "dkim", "verdict"),
    [
        ("example.com", "", "example.com", (), Verdict.PASS),
        ("example.com", "", "", ("example.com",), Verdict.PASS),
        ("example.com", "", "mail.example.com", (), Verdict.PASS),
        ("example.com", "", "", ("other.example", "mail.example.com"), Verdict.PASS),
        ("a.example.com", "", "b.example.com", (), Verdict.PASS),
        ("a.example.com", "", "example.com", (), Verdict.PASS),
        ("example.com", "", "notexample.com", ("com", "example.com.evil.example"), Verdict.FAIL),
        ("example.com", "; aspf=s", "mail.example.com", (), Verdict.FAIL),
        ("example.com", "; aspf=s", "example.com", (), Verdict.PASS),
        ("example.com", "; adkim=s", "", ("mail.example.com",), Verdict.FAIL),
        ("example.com", "; adkim=s", "mail.example.com", ("mail.example.com",), Verdict.PASS),
        ("example.com", "", "", (), Verdict.FAIL),
    ],
)
def test_alignment(domain: str, tags: str, spf: str, dkim: tuple[str, ...], verdict: Verdict) -> None:
    assert judged(domain, {"_dmarc.example.com": REJECT + tags}, spf, dkim).verdict is verdict


def test_organizations_below_one_another_do_not_align() -> None:
    zone = {"_dmarc.example.com": REJECT, "_dmarc.dept.example.com": f"{REJECT}; psd=n"}
    assert judged("example.com", zone, dkim=("x.dept.example.com",)).verdict is Verdict.FAIL
    assert judged("a.dept.example.com", zone, dkim=("x.dept.example.com",)).verdict is Verdict.PASS
    assert judged("a.dept.example.com", zone, dkim=("example.com",)).verdict is Verdict.FAIL


def test_sisters_under_a_public_suffix_do_not_align() -> None:
    zone = {"_dmarc.bank.example": f"{REJECT}; psd=y", "_dmarc.giant.bank.example": REJECT}
    assert judged("giant.bank.example", zone, spf="mega.bank.example").verdict is Verdict.FAIL
    assert judged("giant.bank.example", zone, spf="mail.giant.bank.example").verdict is Verdict.PASS


def test_a_parent_without_a_record_is_another_organization() -> None:
    # §4.10.2, rule 3: the author's organization is where the shortest record is found, here its own name.
    zone = {"_dmarc.my.mom.example": REJECT}
    assert judged("my.mom.example", zone, dkim=("mom.example",)).verdict is Verdict.FAIL
    assert judged("my.mom.example", zone, dkim=("mom.example",), method=LISTED).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("tags", "applied"),
    [
        ("p=reject", Policy.REJECT),
        ("p=reject; t=y", Policy.QUARANTINE),
        ("p=quarantine; t=y", Policy.NONE),
        ("p=none; t=y", Policy.NONE),
    ],
)
def test_testing_lowers_the_policy_one_level(tags: str, applied: Policy) -> None:
    result = judged("example.com", {"_dmarc.example.com": f"v=DMARC1; {tags}"})
    assert (result.verdict, result.applied) == (Verdict.FAIL, applied)


@pytest.mark.parametrize(
    ("zone", "more", "verdict"),
    [
        ({"_dmarc.example.com": Outcome.SERVFAIL}, {}, Verdict.TEMPERROR),
        ({"_dmarc.example.com": Outcome.TIMEOUT}, {"spf": "example.com"}, Verdict.TEMPERROR),
        # an own record stands whatever happens above it
        (
            {"_dmarc.example.com": REJECT, "_dmarc.com": Outcome.SERVFAIL},
            {"dkim": ("example.com",)},
            Verdict.PASS,
        ),
        (
            {"_dmarc.example.com": REJECT, "_dmarc.com": Outcome.SERVFAIL},
            {"dkim": ("other.example",)},
            Verdict.FAIL,
        ),
        (
            {
                "_dmarc.example.com": f"{REJECT}; np=none",
                "a.example.com": Outcome.SERVFAIL,
                "_dmarc.a.example.com": Outcome.NXDOMAIN,
            },
            {"author": "a.example.com"},
            Verdict.TEMPERROR,
        ),
        # what could not be checked might have aligned
        ({"_dmarc.example.com": REJECT}, {"unsettled_dkim": ("mail.example.com",)}, Verdict.TEMPERROR),
        ({"_dmarc.example.com": REJECT}, {"unsettled_spf": "mail.example.com"}, Verdict.TEMPERROR),
        ({"_dmarc.example.com": REJECT}, {"unsettled_dkim": ("other.example",)}, Verdict.FAIL),
        ({"_dmarc.example.com": REJECT}, {"unsettled_spf": "other.example"}, Verdict.FAIL),
        # and what could not have aligned, whatever its check had found, leaves nothing open
        (
            {"_dmarc.example.com": f"{REJECT}; adkim=s"},
            {"unsettled_dkim": ("mail.example.com",)},
            Verdict.FAIL,
        ),
        ({"_dmarc.example.com": f"{REJECT}; aspf=s"}, {"unsettled_spf": "mail.example.com"}, Verdict.FAIL),
        (
            {"_dmarc.example.com": f"{REJECT}; adkim=s"},
            {"unsettled_spf": "mail.example.com"},
            Verdict.TEMPERROR,
        ),
        (
            {"_dmarc.example.com": REJECT},
            {"unsettled_dkim": ("mail.example.com",), "spf": "example.com"},
            Verdict.PASS,
        ),
        (
            {"_dmarc.example.com": REJECT, "_dmarc.m.example.com": Outcome.SERVFAIL},
            {"dkim": ("m.example.com",)},
            Verdict.PASS,
        ),
    ],
)
def test_failures_of_the_dns(zone: Zone, more: dict[str, Any], verdict: Verdict) -> None:
    assert judged(more.pop("author", "example.com"), zone, **more).verdict is verdict


def test_only_what_could_align_is_asked_for() -> None:
    asked: list[str] = []
    strangers = tuple(f"d{number}.example" for number in range(500))
    run(evaluate("example.com", Identifiers(dkim=strangers)), {"_dmarc.example.com": REJECT}, asked)
    assert asked == ["_dmarc.example.com", "_dmarc.com"]


@pytest.mark.parametrize(
    ("record", "sample", "applied"),
    [
        ("p=reject; pct=0", 0.0, Policy.QUARANTINE),
        ("p=quarantine; pct=0", 0.0, Policy.NONE),
        ("p=reject; pct=50", 49.9, Policy.REJECT),
        ("p=reject; pct=50", 50.0, Policy.QUARANTINE),
        ("p=reject; pct=100", 99.9, Policy.REJECT),
        ("p=reject; t=y", 0.0, Policy.REJECT),
    ],
)
def test_rfc_7489_applies_pct_and_no_t(record: str, sample: float, applied: Policy) -> None:
    zone = {"_dmarc.example.com": f"v=DMARC1; {record}"}
    assert judged("example.com", zone, method=LISTED, sample=sample).applied is applied


def test_rfc_7489_stops_at_several_records_and_ignores_np() -> None:
    zone: Zone = {"_dmarc.a.example.com": [REJECT, REJECT], "_dmarc.example.com": REJECT}
    assert judged("a.example.com", zone, method=LISTED).verdict is Verdict.NONE
    assert judged("a.example.com", zone).verdict is Verdict.FAIL
    zone = {"_dmarc.example.com": "v=DMARC1; p=quarantine; np=reject"}
    assert judged("a.example.com", zone, method=LISTED).policy is Policy.QUARANTINE


labels = st.sampled_from(["a", "b", "com", "example"])
domains = st.lists(labels, min_size=1, max_size=10).map(".".join)
texts = st.sampled_from(
    [
        REJECT,
        f"{REJECT}; psd=y",
        f"{REJECT}; psd=n",
        "v=DMARC1; p=none; np=reject; sp=quarantine",
        "junk",
        Outcome.SERVFAIL,
    ]
)


@given(
    domains,
    domains,
    st.lists(domains, max_size=4).map(tuple),
    st.dictionaries(domains.map("_dmarc.{}".format), texts, max_size=6),
)
def test_any_zone_gives_a_verdict(domain: str, spf: str, dkim: tuple[str, ...], zone: Zone) -> None:
    result = judged(domain, zone, spf, dkim)
    if result.verdict is Verdict.PASS:
        assert result.spf or result.dkim
    # Who has no record at all cannot fail.
    if not any(isinstance(text, str) and text != "junk" for text in zone.values()):
        assert result.verdict in (Verdict.NONE, Verdict.TEMPERROR)
