"""Body canonicalisation (``gatepost.dkim.body``).

- However the body is cut, each form is the same, and so is its length, with l= and without.
- It is what dkimpy makes of the body. dkimpy keeps white space at the end of a last line that has no line end;
  the RFC's line always has one.
- What is kept between two chunks is a few octets, whatever comes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from dkim.canonicalization import Relaxed, Simple

from gatepost.dkim.body import BodyCanonicalizer, RelaxedBody, SimpleBody
from tests.fuzz.tape import Tape, cut

SEEDS = (
    b"\0\0Hello.\r\n",
    b"\3\x20\0\x40\0\x80\0\5 C \r\nD \t E\r\n\r\n\r\n",
    b"\1\x80\0\3a\r\n\r\n \t\r\nb",
    b"\0\0\r\n\r\n",
    b"\0\0bare\rCR and\nLF\r\r\n\n\r",
    b"\2\x30\0\x60\0\xff \t \t\r\n \t",
)
WORDS = (b"\r\n", b"\r", b"\n", b" \t", b"\r\n\r\n", b" \r\n", b"  ")

_FORMS: tuple[tuple[Callable[[], BodyCanonicalizer], Callable[[bytes], bytes]], ...] = (
    (SimpleBody, Simple.canonicalize_body),
    (RelaxedBody, Relaxed.canonicalize_body),
)


def check(data: bytes) -> None:
    tape = Tape(data)
    places = tape.cuts()
    limit = tape.number(256)
    body = tape.rest()
    chunks = cut(body, places)
    ended = body if body.endswith(b"\r\n") else body + b"\r\n"
    for make, canonicalize in _FORMS:
        whole, pieces, single = make(), make(), make()
        digests = [(form.digest(None), form.digest(limit)) for form in (whole, pieces, single)]
        whole.update(body)
        for chunk in chunks:
            pieces.update(chunk)
            assert len(pieces._rest) < 8
        for octet in body[:300]:
            single.update(bytes([octet]))
        single.update(body[300:])
        for form in (whole, pieces, single):
            form.finish()
        theirs = canonicalize(ended)
        for full, part in digests:
            assert full.length == part.length == len(theirs)
            assert full.digest() == hashlib.sha256(theirs).digest()
            assert part.digest() == hashlib.sha256(theirs[:limit]).digest()
