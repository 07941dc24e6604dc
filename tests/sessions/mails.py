"""The mails of the recorded sessions, and strangers' signatures on them, always the same."""

from __future__ import annotations

from unittest.mock import patch

from tests.harness.delivery import compose
from tests.harness.keys import KeyPair
from tests.sessions.daemons import NOW
from tests.sessions.zone import RSA
from tests.unit.dkim.support import craft

FRIEND, ANNA, BERT = "friend@example.org", "anna@example.nl", "bert@example.nl"

SIGNED = "from:to:subject:date:message-id"


def mail(
    *extra: tuple[str, str],
    sender: str = FRIEND,
    recipient: str = BERT,
    subject: str = "A word",
    body: str = "Hello.\n",
    without: tuple[str, ...] = (),
) -> bytes:
    """A plain mail, the *extra* fields on top, some of the usual ones left out."""
    fields = [
        ("From", sender),
        ("To", recipient),
        ("Subject", subject),
        ("Date", "Sat, 21 Nov 2026 09:59:30 +0000"),
        ("Message-ID", "<1@example.org>"),
    ]
    return compose([*extra, *(field for field in fields if field[0] not in without)], body)


def signed(
    octets: bytes, by: KeyPair = RSA, *, canonicalization: str = "relaxed/relaxed", sha1: bool = False
) -> bytes:
    """The mail as another domain's signer sends it: with a signature by dkimpy."""
    with patch("dkim.time.time", lambda: NOW - 30):
        return by.sign(octets, canonicalization=canonicalization, sha1=sha1)


def crafted(octets: bytes, by: KeyPair = RSA, **tags: str) -> bytes:
    """The mail with a signature that is sound as far as *tags* let it be."""
    chosen = {"d": by.domain, "s": by.selector, "h": SIGNED} | tags
    return craft(octets, by.private, **chosen).replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
