"""Body canonicalisation: streaming equals whole, and equals what others make of the RFC."""

from __future__ import annotations

import hashlib
from itertools import pairwise

import pytest
from dkim.canonicalization import Relaxed, Simple
from hypothesis import given
from hypothesis import strategies as st

from gatepost.dkim.body import BodyCanonicalizer, BodyHasher, RelaxedBody, SimpleBody

PIECES = [b" ", b"\t", b"\r\n", b"\r\n\r\n", b"a", b"bc", b"\r", b"\n", b"  x", b"\x00", b"\x0b", b"\xff"]
bodies = st.lists(st.sampled_from(PIECES), max_size=25).map(b"".join)


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def hashed(form: type[BodyCanonicalizer], *chunks: bytes) -> bytes:
    canonicalizer = form()
    digest = canonicalizer.digest(None)
    for chunk in chunks:
        canonicalizer.update(chunk)
    canonicalizer.finish()
    return digest.digest()


# RFC 6376 §3.4.3 to §3.4.5
@pytest.mark.parametrize(
    ("body", "simple", "relaxed"),
    [
        (b"", b"\r\n", b""),
        (b"\r\n", b"\r\n", b""),
        (b"\r\n\r\n\r\n", b"\r\n", b""),
        (b" \t\r\n \r\n", b" \t\r\n \r\n", b""),
        (b" C \r\nD \t E\r\n\r\n\r\n", b" C \r\nD \t E\r\n", b" C\r\nD E\r\n"),
        (b"no line end", b"no line end\r\n", b"no line end\r\n"),
        (b"a\r\n\r\nb\r\n", b"a\r\n\r\nb\r\n", b"a\r\n\r\nb\r\n"),
        (b"a\r\n \t \r\nb\r\n", b"a\r\n \t \r\nb\r\n", b"a\r\n\r\nb\r\n"),
        (b"bare\rCR and\nLF\r\n", b"bare\rCR and\nLF\r\n", b"bare\rCR and\nLF\r\n"),
        (b"a\r\r\n", b"a\r\r\n", b"a\r\r\n"),
        (b"a\r\n\r", b"a\r\n\r\r\n", b"a\r\n\r\r\n"),
    ],
)
def test_table(body: bytes, simple: bytes, relaxed: bytes) -> None:
    assert hashed(SimpleBody, body) == sha256(simple)
    assert hashed(RelaxedBody, body) == sha256(relaxed)


@given(bodies, st.lists(st.integers(0, 60), max_size=12))
def test_chunks_cut_anywhere_make_no_difference(body: bytes, cuts: list[int]) -> None:
    places = sorted({0, len(body), *(cut for cut in cuts if cut < len(body))})
    chunks = [body[start:end] for start, end in pairwise(places)]
    for form in (SimpleBody, RelaxedBody):
        assert hashed(form, *chunks) == hashed(form, body)
        assert hashed(form, *(bytes([octet]) for octet in body)) == hashed(form, body)


@given(bodies)
def test_equal_to_dkimpy(body: bytes) -> None:
    # dkimpy keeps white space at the end of a last line that has no line end; the RFC's line always has one.
    if not body.endswith(b"\r\n"):
        body = body.rstrip(b" \t") + b"\r\n"
    assert hashed(SimpleBody, body) == sha256(Simple.canonicalize_body(body))
    assert hashed(RelaxedBody, body) == sha256(Relaxed.canonicalize_body(body))


@given(st.lists(st.tuples(st.sampled_from([b"a", b"\t", b"\r\n"]), st.integers(0, 70)), max_size=8))
def test_runs_of_spaces_of_any_length(runs: list[tuple[bytes, int]]) -> None:
    body = b"".join(text + b" " * length for text, length in runs) + b"x\r\n"
    assert hashed(RelaxedBody, body) == sha256(Relaxed.canonicalize_body(body))


@given(bodies, st.integers(0, 40))
def test_length_limit(body: bytes, limit: int) -> None:
    canonicalizer = RelaxedBody()
    whole, part = canonicalizer.digest(None), canonicalizer.digest(limit)
    for octet in body:
        canonicalizer.update(bytes([octet]))
    canonicalizer.finish()
    text = Relaxed.canonicalize_body(body if body.endswith(b"\r\n") else body.rstrip(b" \t") + b"\r\n")
    assert part.digest() == sha256(text[:limit])
    assert whole.length == part.length == len(text)


def test_one_pass_for_signatures_that_want_the_same() -> None:
    hasher = BodyHasher()
    assert hasher.digest("relaxed") is hasher.digest("relaxed")
    assert hasher.digest("relaxed", 10) is not hasher.digest("relaxed")
    assert hasher.digest("simple") is not hasher.digest("relaxed")


@pytest.mark.parametrize("blank", [b" " * 65536, b"\r\n" * 32768, b" \r\n" * 20000, b"\t \r\n\r\n" * 9000])
def test_blank_megabytes_are_not_kept(blank: bytes) -> None:
    for form in (SimpleBody, RelaxedBody):
        canonicalizer = form()
        canonicalizer.digest(None)
        canonicalizer.update(b"text")
        for _ in range(50):
            canonicalizer.update(blank)
            assert len(canonicalizer._rest) < 8
