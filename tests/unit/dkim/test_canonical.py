"""Header canonicalisation and selection, against the RFC's words and dkimpy's code."""

from __future__ import annotations

import pytest
from dkim import select_headers
from dkim.canonicalization import Relaxed
from hypothesis import given
from hypothesis import strategies as st

from gatepost.dkim.canonical import HeaderIndex, relaxed, simple, without_b
from gatepost.message import HeaderField


@pytest.mark.parametrize(
    ("name", "value", "as_simple", "as_relaxed"),
    [
        (b"A", b" X", b"A: X\r\n", b"a:X\r\n"),
        (b"B ", b" Y\t\n\tZ  ", b"B : Y\t\r\n\tZ  \r\n", b"b:Y Z\r\n"),
        (b"Subject", b"", b"Subject:\r\n", b"subject:\r\n"),
        (b"Subject", b" \n \t", b"Subject: \r\n \t\r\n", b"subject:\r\n"),
        (b"X", b"a\x0bb \x0c c", b"X:a\x0bb \x0c c\r\n", b"x:a\x0bb \x0c c\r\n"),
        (b"X", b" a\rb\n c", b"X: a\rb\r\n c\r\n", b"x:a\rb c\r\n"),
        (b"X", b" a\r\n b", b"X: a\r\n b\r\n", b"x:a b\r\n"),
        (b"X", b" \xff\xfe  \x00", b"X: \xff\xfe  \x00\r\n", b"x:\xff\xfe \x00\r\n"),
    ],
)
def test_table(name: bytes, value: bytes, as_simple: bytes, as_relaxed: bytes) -> None:
    assert simple(HeaderField(name, value)) == as_simple
    assert relaxed(HeaderField(name, value)) == as_relaxed


values = st.lists(
    st.sampled_from([b" ", b"\t", b"\n ", b"\n\t", b"a", b"B:", b";", b"\xc3\xa9"]), max_size=20
).map(b"".join)


@given(values)
def test_relaxed_equals_dkimpy(value: bytes) -> None:
    ((name, text),) = Relaxed.canonicalize_headers([(b"Subject", value)])
    assert relaxed(HeaderField(b"Subject", value)) == name + b":" + text


names = st.sampled_from([b"From", b"TO", b"x-a", b"X-A", b"Received"])


@given(st.lists(names, max_size=8), st.lists(names.map(bytes.lower), max_size=10))
def test_selection_equals_dkimpy(header: list[bytes], wanted: list[bytes]) -> None:
    fields = [HeaderField(name, b" %d" % place) for place, name in enumerate(header)]
    theirs = [simple(HeaderField(*field)) for field in select_headers(fields, wanted)]
    assert list(HeaderIndex(fields).select(wanted, "simple")) == theirs


def test_white_space_before_the_colon_hides_no_field() -> None:
    fields = [HeaderField(b"From ", b" evil@example.org"), HeaderField(b"From", b" anna@example.nl")]
    index = HeaderIndex(fields)
    assert index.count(b"from") == 2
    assert list(index.select([b"from", b"from"], "relaxed")) == [
        b"from:anna@example.nl\r\n",
        b"from:evil@example.org\r\n",
    ]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b" v=1; b=abc; d=x", b" v=1; b=; d=x"),
        (b" v=1; bh=abc; b=a\n\tb c", b" v=1; bh=abc; b="),
        (b" b = ab == ; v=1", b" b =; v=1"),
        (b" v=1;\n\tb=x;", b" v=1;\n\tb=;"),
        (b" v=1; bb=x; xb=y", b" v=1; bb=x; xb=y"),
        (b" v=1; b", b" v=1; b"),
        (b"", b""),
    ],
)
def test_without_b(value: bytes, expected: bytes) -> None:
    assert without_b(value) == expected
