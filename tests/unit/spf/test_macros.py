"""Macros (RFC 7208 §7): the RFC's examples, the grammar, and bounds."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.spf.macros import (
    LONGEST_NAME,
    MacroError,
    check_syntax,
    expand_domain,
    expand_explanation,
)

# RFC 7208 §7.4
VALUES = {
    "s": "strong-bad@email.example.com",
    "l": "strong-bad",
    "o": "email.example.com",
    "d": "email.example.com",
    "i": "192.0.2.3",
    "p": "mx.example.org",
    "v": "in-addr",
    "h": "mx.example.org",
    "c": "192.0.2.3",
    "r": "mx.example.nl",
    "t": "1700000000",
}
value = VALUES.__getitem__


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("%{s}", "strong-bad@email.example.com"),
        ("%{o}", "email.example.com"),
        ("%{d}", "email.example.com"),
        ("%{d4}", "email.example.com"),
        ("%{d3}", "email.example.com"),
        ("%{d2}", "example.com"),
        ("%{d1}", "com"),
        ("%{dr}", "com.example.email"),
        ("%{d2r}", "example.email"),
        ("%{d2R}", "example.email"),
        ("%{l}", "strong-bad"),
        ("%{l-}", "strong.bad"),
        ("%{lr}", "strong-bad"),
        ("%{lr-}", "bad.strong"),
        ("%{l1r-}", "strong"),
        ("%{l1r-+,/_=}", "strong"),
        ("%{d02}", "example.com"),
        ("%{d" + "9" * 5000 + "}", "email.example.com"),
        ("%{d" + "." * 50_000 + "}", "email.example.com"),
        ("%{c} %{r} %{t}", "192.0.2.3 mx.example.nl 1700000000"),
        ("%{S}", "strong-bad%40email.example.com"),
        ("a%%b%_c%-d", "a%b c%20d"),
        ("no macro", "no macro"),
    ],
)
def test_expansion(text: str, expected: str) -> None:
    assert expand_explanation(text, value) == expected


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"),
        ("%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"),
        ("%{p2}.trusted-domains.example.net", "example.org.trusted-domains.example.net"),
        ("a.example.org.", "a.example.org"),
        ("a.x-y", "a.x-y"),
        ("%{d}", "email.example.com"),
        (".".join(["abcdefghi"] * 30) + ".com", ".".join(["abcdefghi"] * 25) + ".com"),
        ("a" * 300 + ".com", "com"),
        ("a." + "b" * 260 + "%{d}", "example.com"),
    ],
)
def test_domains(spec: str, expected: str) -> None:
    assert expand_domain(spec, value) == expected


@pytest.mark.parametrize(
    "spec",
    [
        "", "a", "a.", ".", "com", "a.1", "a.-x", "a.x-", "a.b:8080", "a.b/", "a b.com", "a\r.com", "a.com\n",
        "ü.com", "%", "%{", "%{}", "%{d", "%d}.com", "%{x}.com", "%{c}.com", "%{r}.com", "%{t}.com",
        "%{d0}.com", "%{d00r}.com", "%{drr}.com", "%{d-2}.com", "%{d*}.com", "%{dd}.com", "%(d).com", "a.%",
        "a." + "b" * 64, "%{s}" * 1000 + ".com",
    ],
)  # fmt: skip
def test_what_is_none(spec: str) -> None:
    with pytest.raises(MacroError):
        expand_domain(spec, value)


def test_truncation_keeps_whole_labels() -> None:
    name = expand_domain("%{o}." * 20 + "com", value)
    assert len(name) <= LONGEST_NAME
    assert ("." + "email.example.com." * 20 + "com").endswith("." + name)


def test_expansion_is_bounded() -> None:
    with pytest.raises(MacroError, match="more than"):
        expand_explanation("%{s}" * 300, value)


def test_macros_of_explanations_alone() -> None:
    for letter in "crt":
        with pytest.raises(MacroError):
            check_syntax(f"%{{{letter}}}")
    check_syntax("any=%{d}%%")


@pytest.mark.parametrize("unit", ["%{d", "%{l}", "a.", "%%", "%", "{", "%{d1r.}", "1"])
def test_time_is_linear(unit: str) -> None:
    started = time.process_time()
    for text in (unit * (60_000 // len(unit)), "exp." + unit * (60_000 // len(unit)) + "!"):
        for expand in (expand_domain, expand_explanation):
            try:
                expand(text, value)
            except MacroError:
                pass
    assert time.process_time() - started < 1


@given(st.text(alphabet="%{}sldoiphvcrt0123.-+,/_=aZ ", max_size=60))
def test_nothing_else_is_raised(text: str) -> None:
    for expand in (expand_domain, expand_explanation):
        try:
            expand(text, value)
        except MacroError:
            pass
