"""What a delivery attempt is known by: where it comes from, who sends it, and to whom.

All parts are printable text of bounded length, whatever the client said, so
that they can be stored, compared and shown as they are.
"""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import sha256
from ipaddress import IPv4Network, IPv6Network
from typing import NamedTuple

from gatepost.domains import InvalidNameError, to_ascii
from gatepost.networks import parse_address

LONGEST = 320
"""Characters of the longest address that is kept as it is: local-part, @ and domain (RFC 5321 §4.5.3.1)."""

NULL_SENDER = "<>"
"""The null reverse-path (RFC 5321 §4.5.5)."""

SPF = "spf:"
"""What stands before the domain in an origin that is no network."""

# BATV (draft-levine-smtp-batv §4.1), its older form, and the one of a widespread appliance: the tag changes daily.
_BATV = (
    re.compile(r"prvs=[0-9a-z]{1,32}=(.+)").fullmatch,
    re.compile(r"prvs=([^/=]+)/[0-9a-z]{1,32}").fullmatch,
    re.compile(r"btv1==[0-9a-z]{1,32}==(.+)").fullmatch,
)
# A forwarder's rewriting: hash and day change, the address behind them does not.
_SRS0 = re.compile(r"srs0[=+-][^=]+=[^=]{2}=(.+)").fullmatch
_SRS1 = re.compile(r"srs1[=+-][^=]+=([^=]+)==[^=]+=[^=]{2}=(.+)").fullmatch

# Numbers between other signs, and the long hexadecimal ones that large senders give their messages.
_NUMBER = re.compile(r"(?<![a-z0-9])(?:[0-9]+|(?=[a-f]*[0-9])[0-9a-f]{8,})(?![a-z0-9])")


class Triplet(NamedTuple):
    """The key of one greylisting decision.

    ``origin`` is a client network (``192.0.2.0/24``) or, where SPF vouches for
    the sender, its domain (``spf:example.org``).
    """

    origin: str
    sender: str
    recipient: str


@lru_cache(maxsize=8192)
def network(address: str, ipv4_prefix: int, ipv6_prefix: int) -> str:
    """The network that the client *address* is in, of the given prefix lengths; "" for what is no address."""
    parsed = parse_address(address)
    if parsed is None:
        return ""
    prefix = ipv4_prefix if parsed.version == 4 else ipv6_prefix
    # By number: a scope (fe80::1%eth0) belongs to the link, not to the client.
    rest = parsed.max_prefixlen - prefix
    first = int(parsed) >> rest << rest
    return str(IPv4Network((first, prefix)) if parsed.version == 4 else IPv6Network((first, prefix)))


def spf_origin(domain: str) -> str:
    """The origin of mail for which the SPF record of *domain* vouches."""
    return SPF + _kept(_domain(domain))


def normalise_sender(sender: str) -> str:
    """MAIL FROM (without angle brackets) without what changes from one message to the next.

    Leaves out BATV and SRS tags and the ``+extension``, writes ``#`` for the
    numbers of VERP addresses, and everything in lower case.
    """
    if not sender:
        return NULL_SENDER
    local, at, domain = sender.rpartition("@")
    if not at:
        local, domain = domain, ""
    return _kept(_local_part(local.lower()) + at + _domain(domain))


def normalise_recipient(recipient: str) -> str:
    """The recipient in lower case."""
    local, at, domain = recipient.rpartition("@")
    return _kept(local.lower() + at + _domain(domain))


def _local_part(local: str) -> str:
    for batv in _BATV:
        tagged = batv(local)
        if tagged:
            local = tagged[1]
            break
    forwarded = _SRS0(local)
    if forwarded:
        return f"srs0=#=#={_NUMBER.sub('#', forwarded[1])}"
    forwarded = _SRS1(local)
    if forwarded:
        return f"srs1=#={forwarded[1]}==#=#={_NUMBER.sub('#', forwarded[2])}"
    if not local.startswith('"'):
        # An address that begins with the sign has no other local-part.
        local = local.partition("+")[0] or local
    return _NUMBER.sub("#", local)


def _domain(domain: str) -> str:
    if domain.isascii():
        return domain.lower().removesuffix(".")
    try:
        return to_ascii(domain)
    except InvalidNameError:
        return domain.lower()


def _kept(text: str) -> str:
    """*text* fit to be stored: printable, and no longer than ``LONGEST``."""
    if not text.isprintable():
        octets = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        text = "".join(
            char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in octets
        )
    if len(text) > LONGEST:
        digest = sha256(text.encode()).hexdigest()
        text = f"{text[: LONGEST - 1 - len(digest)]}~{digest}"
    return text
