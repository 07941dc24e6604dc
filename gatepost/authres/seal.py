"""Seals: how one of our daemons knows what another of them wrote.

A seal is a comment at the end of the field's value,
``(gatepost-seal v1 t=SECONDS m=MAC)``. The MAC is HMAC-SHA256 (RFC 2104, cut to
128 bits) under the hosts' common secret, over the time, the value, and its
*subject*: what of the message the results speak of. White space counts as one
space however much there is, so that a seal survives refolding.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import math
import re
import struct
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from functools import lru_cache

from gatepost.address.envelope import internal_form
from gatepost.message import HeaderField, Places, places_of

SPREAD = 300.0
"""Seconds by which the clocks of two hosts may differ: a seal from farther in the future is bad."""

MAX_LENGTH = 64 * 1024
"""Octets of a field's value; a longer one has no good seal."""

_LONGEST_SUBJECT = 4096
_LONGEST_KEPT = 64
_LABEL = b"gatepost-seal v1\0"
_MAC_OCTETS = 16

_RUN = re.compile(rb"[ \t\r\n]+")
_OPENING = b"(gatepost-seal"
_SEAL = re.compile(rb"\(gatepost-seal\s+v1\s+t=(\d{1,12})\s+m=([A-Za-z0-9_-]{22})\s*\)")
SEAL_AT_END = re.compile(_SEAL.pattern + rb"\s*")
"""A seal, and the white space that may follow it at the end of a value."""

# What we add to the results for ourselves: seals, and what an SPF field states (``spf_field``).
_OUR_COMMENT = re.compile(rb'\((?<!\\\()[ \t\r\n]*+gatepost-(?:seal|spf)(?![\w-])[^()\\"]*+\)', re.IGNORECASE)
_SUBJECT_FIELDS = (b"from", b"date", b"message-id")
_number = struct.Struct(">Q").pack


class Sealer:
    """Seals values and opens seals. ``validity`` is how many seconds a seal is good. Holds no state."""

    def __init__(self, secret: bytes, validity: float) -> None:
        self._secret = secret
        self._validity = validity

    def seal(self, value: str, subject: bytes, now: float) -> str:
        """Give *value* with a seal behind it, on a line of its own where the value is folded."""
        seconds = int(now)
        mac = self._mac(_squeezed(value.encode()), subject, seconds).decode("ascii")
        gap = "\n\t" if "\n" in value else " "
        return f"{value}{gap}(gatepost-seal v1 t={seconds} m={mac})"

    def opened(self, value: bytes, subject: bytes, now: float, longest: float = math.inf) -> bool:
        """Whether *value* ends in a seal of ours that is good at *now*, and was made for this *subject*.

        *longest* is how many seconds ago it may have been made, where that is less than the validity.
        """
        if len(value) > MAX_LENGTH:
            return False
        start = value.rfind(_OPENING)
        if start < 0:
            return False
        seal = _SEAL.fullmatch(value[start:].rstrip(b" \t\r\n"))
        if seal is None:
            return False
        seconds = int(seal[1])
        if not -SPREAD <= now - seconds <= min(self._validity, longest):
            return False
        return hmac.compare_digest(self._mac(_squeezed(value[:start]), subject, seconds), seal[2])

    def _mac(self, value: bytes, subject: bytes, seconds: int) -> bytes:
        text = b"".join((_LABEL, _number(seconds), _number(len(value)), value, subject))
        return urlsafe_b64encode(hmac.digest(self._secret, text, "sha256")[:_MAC_OCTETS])[:22]


def without_seal(value: bytes) -> bytes:
    """Give *value* without any seal, or what one was made for, and without the white space in front."""
    if b"gatepost-s" not in value.lower():
        return value
    *parts, last = _OUR_COMMENT.split(value)
    return b"".join([part.rstrip(b" \t\r\n") for part in parts]) + last


def message_subject(headers: Sequence[HeaderField], places: Places | None = None) -> bytes:
    """Give what DKIM and DMARC results speak of: all From, Date and Message-ID fields.

    These survive a content filter; the queue id and the body do not. Each
    field is preceded by its length and each kind by its number, so that no
    text can move from one field to another. Of much text the digest is given:
    a header may hold hundreds of fields whose seals have to be tried. *places*
    are those of *headers*, where they are known already.
    """
    if places is None:
        places = places_of(headers)
    parts = [b"message\0"]
    for name in _SUBJECT_FIELDS:
        fields = places.get(name, ())
        parts.append(_number(len(fields)))
        for place in fields:
            squeezed = _squeezed(headers[place].value)
            parts += (_number(len(squeezed)), squeezed)
    subject = b"".join(parts)
    if len(subject) > _LONGEST_SUBJECT:
        return b"long message\0" + hashlib.sha256(subject).digest()
    return subject


def spf_subject(client_address: str, helo: bytes, mail_from: bytes) -> bytes:
    """Give what SPF results speak of (RFC 7208 §2.3, §2.4).

    The address may be written in any way; the case of *helo* makes no
    difference. *mail_from* is without angle brackets, empty for the null sender;
    its local part may be quoted, as milters see it, or not, as policy services do.
    """
    parts = [b"spf\0"]
    for part in (_canonical_address(client_address), helo.lower(), internal_form(mail_from)):
        parts += (_number(len(part)), part)
    return b"".join(parts)


def _canonical_address(text: str) -> bytes:
    return _canonical(text) if len(text) <= _LONGEST_KEPT else _canonical.__wrapped__(text)


@lru_cache(maxsize=1024)
def _canonical(text: str) -> bytes:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return text.encode("utf-8", "surrogateescape")
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return str(address).encode("ascii")


def _squeezed(text: bytes) -> bytes:
    if b"\x0b" in text or b"\x0c" in text:  # white space to Python, but not here
        return _RUN.sub(b" ", text).strip(b" ")
    return b" ".join(text.split())
