"""The identities that SPF checks: HELO and MAIL FROM (RFC 7208 §2.3, §2.4), as they came over SMTP."""

from __future__ import annotations

from dataclasses import dataclass

from gatepost.address.envelope import internal_form
from gatepost.domains import InvalidNameError, to_ascii
from gatepost.spf.result import Identity

LONGEST_MAIL_FROM = 1000
"""Octets of the longest MAIL FROM that is checked. RFC 5321 §4.5.3.1.3 allows 254."""

_LONGEST_HELO = 255


class NoIdentityError(ValueError):
    """There is no domain to check, so the verdict is none (RFC 7208 §4.3). The text says why."""


@dataclass(frozen=True, slots=True)
class Sender:
    """Who is to be checked.

    ``local_part`` and ``helo`` are for macros, as the client said them, octets
    that are no UTF-8 surrogate-escaped. ``domain`` is as A-labels (RFC 8616 §4).
    """

    identity: Identity
    local_part: str
    domain: str
    helo: str


def identity_of(mail_from: bytes) -> Identity:
    """Which identity a check with this MAIL FROM is about: the null sender leaves HELO (RFC 7208 §2.4)."""
    return Identity.MAIL_FROM if mail_from else Identity.HELO


def sender_of(helo: bytes, mail_from: bytes) -> Sender:
    """Find who is to be checked. An empty *mail_from* stands for postmaster@*helo*.

    Raises :class:`NoIdentityError`.
    """
    if len(mail_from) > LONGEST_MAIL_FROM:
        raise NoIdentityError(f"MAIL FROM is longer than {LONGEST_MAIL_FROM} octets")
    greeting = helo[:_LONGEST_HELO].decode("utf-8", "surrogateescape")
    if not mail_from:
        if len(helo) > _LONGEST_HELO:
            raise NoIdentityError(f"HELO is longer than {_LONGEST_HELO} octets")
        return Sender(Identity.HELO, "postmaster", _domain(greeting, "HELO"), greeting)
    # A quoted local part may hold an "@"; a domain cannot.
    local_part, _, domain = internal_form(mail_from).decode("utf-8", "surrogateescape").rpartition("@")
    return Sender(Identity.MAIL_FROM, local_part or "postmaster", _domain(domain, "MAIL FROM"), greeting)


def _domain(text: str, identity: str) -> str:
    if text.startswith("["):
        raise NoIdentityError(f"{identity} has an address literal")
    try:
        domain = to_ascii(text)
    except InvalidNameError as error:
        raise NoIdentityError(f"{identity} has no domain: {error}") from None
    if "." not in domain:
        raise NoIdentityError(f"{identity} has a name of a single label")
    return domain
