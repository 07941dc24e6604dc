"""Header canonicalisation (RFC 6376 §3.4.1, §3.4.2) and the choice of fields that h= names (§5.4.2)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from gatepost.message import HeaderField

_WSP_RUN = re.compile(rb"[ \t]+")
# White space to Python, but ordinary characters to RFC 5322.
_ODD_SPACE = re.compile(rb"[\r\x0b\x0c]")


def simple(field: HeaderField) -> bytes:
    """The field as it is, with its folds as CRLF and a CRLF at its end (§3.4.1)."""
    value = field.value
    if b"\n" in value:
        value = value.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    return field.name + b":" + value + b"\r\n"


def relaxed(field: HeaderField) -> bytes:
    """Name in lower case, value unfolded with runs of white space as one space, and a CRLF (§3.4.2)."""
    value = field.value
    if _ODD_SPACE.search(value):
        value = value.replace(b"\r\n", b"").replace(b"\n", b"")
        value = _WSP_RUN.sub(b" ", value).strip(b" ")
    else:
        value = b" ".join(value.split())
    return field.name.lower().rstrip(b" \t") + b":" + value + b"\r\n"


HEADER_CANONICALIZATIONS = {"simple": simple, "relaxed": relaxed}


class HeaderIndex:
    """A header's fields by name, each canonicalised at most once however many signatures name it."""

    def __init__(self, headers: Sequence[HeaderField]) -> None:
        self._headers = headers
        self._places: dict[bytes, list[int]] = {}
        for place, (name, _) in enumerate(headers):
            # White space in front of the colon is no part of the name (RFC 5322 §4.5), and hides no field.
            self._places.setdefault(name.rstrip(b" \t").lower(), []).append(place)
        self._done: dict[tuple[str, int], bytes] = {}

    def count(self, name: bytes) -> int:
        """How many fields are called *name* (lower case)."""
        return len(self._places.get(name, ()))

    def select(self, names: Iterable[bytes], canonicalization: str) -> Iterator[bytes]:
        """The canonical fields that h= names (lower case), in its order.

        Each name takes the next instance from the bottom up; a name beyond the
        last instance stands for the null string (§5.4.2).
        """
        canonicalize = HEADER_CANONICALIZATIONS[canonicalization]
        left: dict[bytes, int] = {}
        for name in names:
            places = self._places.get(name)
            if places is None:
                continue
            nth = left.get(name, len(places)) - 1
            if nth < 0:
                continue
            left[name] = nth
            key = (canonicalization, places[nth])
            done = self._done.get(key)
            if done is None:
                done = self._done[key] = canonicalize(self._headers[places[nth]])
            yield done


def without_b(value: bytes) -> bytes:
    """A DKIM-Signature value with the value of b= cut out, all else octet for octet (§3.7)."""
    parts = value.split(b";")
    for place, part in enumerate(parts):
        name, equals, _ = part.partition(b"=")
        if equals and name.strip() == b"b":
            parts[place] = name + equals
            break
    return b";".join(parts)
