from __future__ import annotations

import fnmatch
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatepost.dkim.keys.names import (
    identity_for,
    is_file_name,
    parse_identity,
    parse_pattern,
    parse_selector,
    superdomains,
)
from gatepost.dkim.keys.patterns import SenderPatterns, Wildcard


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        ("a@b.c", "a@b.c", True),
        ("a@b.c", "aa@b.c", False),
        ("a@b.c", "a@b.cc", False),
        ("a@b.c", "a@bxc", False),
        ("*", "", True),
        ("*", "anything", True),
        ("a*a", "a", False),
        ("a*a", "aa", True),
        ("a*b*c", "abc", True),
        ("a*b*c", "axbxc", True),
        ("a*b*c", "acb", False),
        ("*b*b*", "b", False),
        ("a**c", "ac", True),
        ("ab*ba", "aba", False),
        ("[ab]*", "a", False),
        ("a?", "ab", False),
    ],
)
def test_wildcard(pattern: str, text: str, fits: bool) -> None:
    assert Wildcard(pattern).matches(text) is fits


@given(st.text("ab*", max_size=8), st.text("ab", max_size=12))
@settings(max_examples=200)
def test_wildcard_is_what_the_standard_library_says(pattern: str, text: str) -> None:
    assert Wildcard(pattern).matches(text) is bool(re.match(fnmatch.translate(pattern), text))


def test_wildcard_takes_no_time_on_a_hostile_text() -> None:
    # A backtracking matcher would not come back from this.
    assert not Wildcard("*a" * 30 + "*b").matches("a" * 100_000)


@pytest.mark.parametrize(
    ("pattern", "local_part", "domain", "fits"),
    [
        ("*@example.com", "anna", "example.com", True),
        ("*@Example.COM", "anna", "example.com", True),
        ("*@example.com", "anna", "sub.example.com", False),
        ("Anna@example.com", "aNNA", "example.com", True),
        ("anna@example.com", "bert", "example.com", False),
        ("an*@example.com", "anna", "example.com", True),
        ("an*@example.com", "bert", "example.com", False),
        ("*@*.example.com", "anna", "a.b.example.com", True),
        ("*@*.example.com", "anna", "example.com", False),
        ("*example.com", "anna", "sub.example.com", True),
        ("*", "anna", "example.com", True),
        ("anna@*", "anna", "example.com", True),
        ("example.com", "anna", "example.com", False),
        ("*@münchen.example", "anna", "xn--mnchen-3ya.example", True),
        ("*@*.münchen.example", "anna", "a.xn--mnchen-3ya.example", True),
        ("*@example.com.", "anna", "example.com", True),
        ("*@example.com", '"x@example.com"', "other.org", False),
        ("*@a@example.com", '"b"@a', "example.com", True),
    ],
)
def test_sender_patterns(pattern: str, local_part: str, domain: str, fits: bool) -> None:
    patterns = SenderPatterns[str]()
    patterns.add(pattern, "rule")
    assert patterns.match(local_part, domain) == (["rule"] if fits else [])


def test_all_that_fit_in_the_order_of_adding() -> None:
    patterns = SenderPatterns[int]()
    rules = [
        "*",
        "*@b.example",
        "a@b.example",
        "*@*.example",
        "x*",
        "*@c.example",
        "a@*",
        "*@b.example",
        "a@b.example",
    ]
    for number, pattern in enumerate(rules):
        patterns.add(pattern, number)
    assert patterns.match("a", "b.example") == [0, 1, 2, 3, 6, 7, 8]
    assert len(patterns) == len(rules)


_PATTERN = st.lists(st.sampled_from(["*", "a", "b", "@", "."]), max_size=7).map("".join)


@given(_PATTERN, st.text("ab", min_size=1, max_size=3), st.sampled_from(["a", "b.a", "a.b.a"]))
@settings(max_examples=200)
def test_the_quick_ways_are_the_wildcard(pattern: str, local_part: str, domain: str) -> None:
    patterns = SenderPatterns[int]()
    patterns.add(pattern, 1)
    slow = Wildcard(parse_pattern(pattern)).matches(f"{local_part}@{domain}")
    assert bool(patterns.match(local_part, domain)) is slow


@pytest.mark.parametrize("text", ["mail", "2026a", "a.b", "s_1", "Mail"])
def test_selectors(text: str) -> None:
    assert parse_selector(text) == text.lower()


@pytest.mark.parametrize(
    "text", ["", ".", "a..b", "-a", "a-", "a b", "a;b", "%", "../x", "ä", "a" * 64, "a." * 120 + "a", "a\n"]
)
def test_no_selectors(text: str) -> None:
    with pytest.raises(ValueError, match="is not a selector"):
        parse_selector(text)


@pytest.mark.parametrize(
    ("domain", "fits"),
    [
        ("example.nl", True),
        ("_x.example.nl", True),
        ("xn--mnchen-3ya.example", True),
        ("", False),
        (".", False),
        ("..", False),
        (".hidden", False),
        ("a..b", False),
        ("a/b", False),
        ("../etc", False),
        ("a\0b", False),
        ("a\n", False),
        ("A.example", False),
        ("{selector}", False),
        ("%", False),
        ("a b", False),
        ("ä.example", False),
    ],
)
def test_file_names(domain: str, fits: bool) -> None:
    assert is_file_name(domain) is fits


def test_superdomains() -> None:
    assert superdomains("a.b.c") == ["b.c", "c"]
    assert superdomains("c") == []


@pytest.mark.parametrize(
    ("identity", "signing_domain", "expected"),
    [
        ("", "example.com", ""),
        ("signer@example.com", "example.com", "signer@example.com"),
        ("Signer@Example.COM", "example.com", "Signer@example.com"),
        ("@example.com", "example.com", "@example.com"),
        ("@%", "example.com", "@example.com"),
        ("signer@foo.%", "example.com", "signer@foo.example.com"),
        ("signer@foo.%", "foo.example.com", "signer@foo.example.com"),
        ("signer@foo.%", "other.org", ""),
        ("signer@other.org", "example.com", ""),
        ("signer@badexample.com", "example.com", ""),
    ],
)
def test_identities(identity: str, signing_domain: str, expected: str) -> None:
    parsed = parse_identity(identity) if identity else ""
    assert identity_for(parsed, signing_domain, "example.com") == expected


@pytest.mark.parametrize("text", ["%", "signer", "@", "a@%:b", "a@b c", "a@.%", "a\n@b.c"])
def test_no_identities(text: str) -> None:
    with pytest.raises(ValueError, match="is not a"):
        parse_identity(text)
