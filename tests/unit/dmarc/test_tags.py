"""A record in words: what each tag says, and what is wrong with it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.dmarc.record import parse_record
from gatepost.dmarc.tags import explain

RUA = "rua=mailto:d@example.nl"


@pytest.mark.parametrize(
    ("tag", "meaning"),
    [
        ("p=none", "none: no wish about mail that fails"),
        ("p=Reject", "reject: refuse mail that fails"),
        ("sp=quarantine", "quarantine: be suspicious of mail from subdomains that fails"),
        ("np=reject", "reject: refuse mail from missing subdomains that fails"),
        ("adkim=s", "DKIM has to align strictly"),
        ("aspf=r", "SPF may align relaxed"),
        ("rua=mailto:a@b.nl, mailto:c@d.nl", "aggregate reports to mailto:a@b.nl, mailto:c@d.nl"),
        ("ruf=mailto:a@b.nl", "failure reports to mailto:a@b.nl"),
        ("fo=1:s", "failure reports where anything does not pass aligned, where SPF fails"),
        ("t=y", "in testing: apply the next milder policy"),
        ("psd=n", "the organizational domain, for itself and all below it"),
    ],
)
def test_meanings(tag: str, meaning: str) -> None:
    text = explain(f"v=DMARC1; {tag}".encode())
    assert text.tags[1].meaning == meaning
    assert text.tags[1].flaw == ""


@pytest.mark.parametrize(
    ("tags", "flaws"),
    [
        (f"p=reject; {RUA}", []),
        (f"p=reject; {RUA};", []),
        ("p=none", ["p=none without rua=: nothing is refused, and nobody is told of anything"]),
        (RUA, ["p= is missing", "without a sound policy the record counts as p=none"]),
        ("", ["p= is missing", "without a sound policy and a sound rua= the record does not count"]),
        (
            f"p=reject; sp=no; {RUA}",
            [
                "sp=no: expected none, quarantine or reject",
                "without a sound policy the record counts as p=none",
            ],
        ),
        (
            "p=reject; rua=d@example.nl",
            ['rua=d@example.nl: "d@example.nl" is no URI, mailto: is missing'],
        ),
        ("p=reject; rua=mailto:d", ["rua=mailto:d: mailto:d is no address"]),
        ("p=reject; rua=", ['rua=: "" is no URI']),
        (
            "p=reject; rua=https://example.nl/",
            ["rua=https://example.nl/: https: is hardly used, reports go by mailto:"],
        ),
        (
            "p=reject; rua=mailto:d@example.nl!10m",
            ['rua=mailto:d@example.nl!10m: a size limit ("!") is obsolete'],
        ),
        ("p=reject; pct=50", ["pct= is obsolete: RFC 9989 does not know it"]),
        (
            "p=reject; rf=afrf; ri=86400",
            [f"{tag}= is obsolete: RFC 9989 does not know it" for tag in ("rf", "ri")],
        ),
        ("p=reject; fo=1", ["fo= has no meaning without ruf="]),
        ("p=reject; ruf=mailto:d@example.nl; fo=0:1", ["fo=0:1: 0 and 1 exclude each other"]),
        ("p=reject; ruf=mailto:d@example.nl; fo=x", ["fo=x: expected 0, 1, d or s, parted by colons"]),
        ("p=reject; adkim=strict", ["adkim=strict: expected r or s"]),
        ("p=reject; psd=1", ["psd=1: expected y or n or u"]),
        ("p=reject; q=1", ["q= is no tag of DMARC"]),
        ("p=reject; moo", ['"moo" has no "=" and is passed over']),
        (f"p=none; t=y; {RUA}", ["t=y changes nothing where the policy is none"]),
        (f"p=none; sp=reject; t=y; {RUA}", []),
    ],
)
def test_flaws(tags: str, flaws: list[str]) -> None:
    assert list(explain(f"v=DMARC1; {tags}".encode()).flaws) == flaws


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("v=spf1 -all", ""),
        ("anything", ""),
        ("", ""),
        ("v=dmarc1; p=none", "it has to begin with v=DMARC1, in capitals, so it is no DMARC record"),
        ("v=DMARC2; p=none", "it has to begin with v=DMARC1, in capitals, so it is no DMARC record"),
        ('"v=DMARC1; p=none"', "it has to begin with v=DMARC1, in capitals, so it is no DMARC record"),
        ("v=DMARC1 p=none", 'no ";" after v=DMARC1, so it is no DMARC record'),
        ("v=DMARC1; p=none; p=none", "a tag stands twice or has no name, which spoils the record"),
        ("v=DMARC1; p=none; =x", "a tag stands twice or has no name, which spoils the record"),
        ("v=DMARC1; p=none;" + " " * 8192 + "t=y", "longer than 8 kB, so it is not read"),
    ],
)
def test_why_a_text_is_no_record(text: str, problem: str) -> None:
    explained = explain(text.encode())
    assert explained.record is None
    assert (explained.problem, explained.tags, explained.flaws) == (problem, (), ())


def test_the_older_rfc_knows_other_tags() -> None:
    text = explain(b"v=DMARC1; p=reject; pct=20; t=y; np=none; ri=1", historic=True)
    assert [tag.meaning for tag in text.tags[2:]] == [
        "the policy is for 20 % of the mail that fails, the next milder one for the rest",
        "not known to RFC 7489, passed over",
        "not known to RFC 7489, passed over",
        "for reports, passed over here",
    ]
    assert text.flaws == ()
    assert explain(b"v=DMARC1; p=reject; pct=200", historic=True).flaws == (
        "pct=200: expected a number from 0 to 100",
    )


@given(st.binary(max_size=200) | st.binary(max_size=200).map(lambda rest: b"v=DMARC1; p=none;" + rest))
def test_any_octets(octets: bytes) -> None:
    text = explain(octets)
    assert text.record == parse_record(octets)
    assert (text.record is None) == (not text.tags)
