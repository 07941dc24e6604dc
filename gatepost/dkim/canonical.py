"""Header canonicalisation (RFC 6376 §3.4.1, §3.4.2) and the choice of fields that h= names (§5.4.2)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from gatepost.message import HeaderField, Places, places_of

_SIGNATURE = b"dkim-signature"
_WSP_RUN = re.compile(rb"[ \t]+")


def simple(field: HeaderField) -> bytes:
    """The field as it is, with its folds as CRLF and a CRLF at its end (§3.4.1)."""
    value = field.value
    if b"\n" in value:
        value = value.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    return field.name + b":" + value + b"\r\n"


def relaxed(field: HeaderField) -> bytes:
    """Name in lower case, value unfolded with runs of white space as one space, and a CRLF (§3.4.2)."""
    name, value = field
    # White space to Python, but ordinary characters to RFC 5322.
    if b"\r" in value or b"\x0b" in value or b"\x0c" in value:
        value = value.replace(b"\r\n", b"").replace(b"\n", b"")
        value = _WSP_RUN.sub(b" ", value).strip(b" ")
    else:
        value = b" ".join(value.split())
    return b"%b:%b\r\n" % (name.lower().rstrip(b" \t"), value)


HEADER_CANONICALIZATIONS = {"simple": simple, "relaxed": relaxed}


class HeaderIndex:
    """A header's fields by name, each canonicalised at most once however many signatures name it."""

    def __init__(self, headers: Sequence[HeaderField], places: Places | None = None) -> None:
        """*places* are those of *headers*, where they are known already."""
        self._headers = headers
        self._places = places_of(headers) if places is None else places
        self._done: dict[str, dict[int, bytes]] = {}

    def count(self, name: bytes) -> int:
        """How many fields are called *name* (lower case)."""
        return len(self._places.get(name, ()))

    def select(
        self, names: Iterable[bytes], canonicalization: str, own: HeaderField | None = None
    ) -> list[bytes]:
        """The canonical fields that h= names (lower case), in its order.

        Each name takes the next instance from the bottom up; a name beyond the
        last instance stands for the null string (§5.4.2). *own* is the signature
        that is verified: h= can name other ones, never that one (§3.5, h=).
        """
        canonicalize = HEADER_CANONICALIZATIONS[canonicalization]
        done = self._done.setdefault(canonicalization, {})
        chosen = []
        left: dict[bytes, int] = {}
        for name in names:
            places = self._places.get(name)
            if places is None:
                continue
            nth = left.get(name, len(places)) - 1
            if name == _SIGNATURE and nth >= 0 and self._headers[places[nth]] is own:
                nth -= 1
            if nth < 0:
                continue
            left[name] = nth
            place = places[nth]
            field = done.get(place)
            if field is None:
                field = done[place] = canonicalize(self._headers[place])
            chosen.append(field)
        return chosen


def without_b(value: bytes) -> bytes:
    """A DKIM-Signature value with the value of b= cut out, all else octet for octet (§3.7)."""
    parts = value.split(b";")
    for place, part in enumerate(parts):
        if part.lstrip()[:1] != b"b":
            continue
        name, equals, _ = part.partition(b"=")
        if equals and name.strip() == b"b":
            parts[place] = name + equals
            break
    return b";".join(parts)
