"""Bodies too large to be written out: generated from a number, and recognised by their first line."""

from __future__ import annotations

import base64
import re
from hashlib import shake_256

MAX_SIZE = 128 * 1024 * 1024
"""Octets of the largest body that is generated."""

_FIRST_LINE = "Generated text, {size} octets, seed {seed}.\r\n"
_CLAIM = re.compile(rb"Generated text, (\d{1,9}) octets, seed (\d{1,9})\.\r\n")


def generate(size: int, seed: int) -> bytes:
    """Lines of text, *size* octets of them, CRLF at the end; the same for the same numbers, for ever.

    The first line tells the numbers, then SHAKE256 of the seed follows in
    base64, in lines of 76 characters. Raises ValueError where *size* leaves no
    room for the first line, or is over MAX_SIZE.
    """
    first = _FIRST_LINE.format(size=size, seed=seed).encode("ascii")
    if not len(first) <= size <= MAX_SIZE:
        raise ValueError(f"a generated body has {len(first)} to {MAX_SIZE} octets, not {size}")
    octets = shake_256(str(seed).encode("ascii")).digest(size * 3 // 4 + 3)
    text = first + base64.encodebytes(octets).replace(b"\n", b"\r\n")
    return text[: size - 2] + b"\r\n"


def claimed(start: bytes) -> tuple[int, int] | None:
    """Size and seed that the first line in *start* claims; None where it is no generated body."""
    claim = _CLAIM.match(start)
    if claim is None or int(claim[1]) > MAX_SIZE:
        return None
    return int(claim[1]), int(claim[2])
