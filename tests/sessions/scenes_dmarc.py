"""Scenes about DMARC: what is evaluated, what is believed, and what becomes of mail."""

from __future__ import annotations

from tests.harness.smtp import Client
from tests.sessions.mails import crafted, mail, signed
from tests.sessions.scene import IPV6, Act, Scene, sends, submits
from tests.sessions.zone import ED25519

PASS, FAIL, NONE = "dmarc=pass", "dmarc=fail", "dmarc=none"
ERROR = "dmarc=permerror"

EVIL = Client("203.0.113.66", "mail.evil.example", "mail.evil.example")
FORWARDER = Client("203.0.113.5", "mx.forwarder.example", "mx.forwarder.example")
CEO = "ceo@bank.example"

_LIES = tuple(
    ("Authentication-Results", f"mail.example.nl; {claim}")
    for claim in (
        "dkim=pass header.d=bank.example",
        "spf=pass smtp.mailfrom=bank.example",
        "dmarc=pass header.from=bank.example",
    )
)
_LIST = (("List-Id", "<l.lists.example>"), ("List-Post", "<mailto:l@lists.example>"))


def spoofs(*extra: tuple[str, str], author: str = CEO, octets: bytes = b"") -> Act:
    """A mail from a server that nobody has named."""
    return sends(octets or mail(*extra, sender=author), client=EVIL, sender="x@evil.example")


def _author(field: str) -> bytes:
    """A mail whose From field is all of *field*."""
    return mail(without=("From",)).replace(b"To: ", field.encode() + b"\r\nTo: ", 1)


SCENES = [
    Scene(
        "dmarc", "dkim-pass", "DKIM passes and aligns; SPF does not.", spoofs(octets=signed(mail())), [PASS]
    ),
    Scene("dmarc", "dkim-ed25519", "The same, Ed25519.", spoofs(octets=signed(mail(), ED25519)), [PASS]),
    Scene("dmarc", "spf-pass", "Unsigned, from the domain's own server.", sends(mail()), ["spf=pass", PASS]),
    Scene("dmarc", "spf-pass-ipv6", "The same over IPv6.", sends(mail(), client=IPV6), ["spf=pass", PASS]),
    Scene(
        "dmarc",
        "null-sender",
        "A bounce: HELO counts.",
        sends(mail(), sender=""),
        ["spf=pass smtp.helo=mx.example.org", PASS],
    ),
    Scene(
        "dmarc",
        "spoofed",
        "A From field of somebody else's domain, with p=reject.",
        spoofs(),
        ["550 5.7.1 Email rejected per DMARC policy for bank.example"],
    ),
    Scene(
        "dmarc",
        "spoofed-then-honest",
        "The same, and a good mail after it in the same session.",
        sends(mail(sender=CEO), mail()),
        ["550 5.7.1", PASS],
    ),
    Scene(
        "dmarc",
        "body-altered",
        "A signature that does not hold.",
        spoofs(octets=signed(mail()).replace(b"Hello.", b"Hello!")),
        ["550 5.7.1"],
    ),
    Scene(
        "dmarc",
        "unaligned-signature",
        "A good signature of another domain.",
        spoofs(octets=crafted(mail(sender=CEO))),
        ["550 5.7.1"],
    ),
    Scene("dmarc", "quarantine", "p=quarantine.", spoofs(author="a@shop.example"), ["quarantine", FAIL]),
    Scene("dmarc", "no-policy", "p=none.", spoofs(author="a@none.example"), ["accept", FAIL]),
    Scene("dmarc", "no-record", "No record at all.", spoofs(author="a@norecord.example"), [NONE]),
    Scene(
        "dmarc",
        "subdomain-without-record",
        "A subdomain that does not exist, under np=reject.",
        spoofs(author="a@nowhere.parent.example"),
        ["550 5.7.1"],
    ),
    Scene("dmarc", "testing", "t=y lowers reject.", spoofs(author="a@testing.example"), ["quarantine"]),
    Scene(
        "dmarc",
        "mailing-list",
        "Through a list: held, not refused.",
        spoofs(*_LIST),
        ["quarantine", "dis=quarantine"],
    ),
    Scene(
        "dmarc",
        "temperror",
        "The policy's server fails.",
        spoofs(author="a@broken.example"),
        ["dmarc=temperror"],
    ),
    Scene("dmarc", "forged-results", "Results that the sender wrote.", spoofs(*_LIES), ["550 5.7.1"]),
    Scene(
        "dmarc",
        "forged-results-without-policy",
        "The same, where there is nothing to refuse.",
        spoofs(*_LIES, author="a@none.example"),
        ["remove", FAIL],
    ),
    Scene(
        "dmarc",
        "two-from",
        "Two From fields.",
        spoofs(octets=_author(f"From: friend@example.org\r\nFrom: {CEO}")),
        [ERROR],
    ),
    Scene("dmarc", "no-from", "None.", spoofs(octets=mail(without=("From",))), [ERROR]),
    Scene("dmarc", "group", "A group.", spoofs(octets=_author("From: us: friend@example.org;")), [ERROR]),
    Scene("dmarc", "u-labels", "An author in U-labels.", spoofs(author="jo@müller.example"), ["550 5.7.1"]),
    Scene(
        "dmarc",
        "user",
        "A user who logged in is left alone.",
        submits(mail(sender=CEO)),
        [f"!{FAIL}", "accept"],
    ),
    Scene(
        "dmarc",
        "verified-before",
        "dkim-verify is before it in the session: its sealed result is believed.",
        sends(signed(mail()), client=EVIL, sender="x@evil.example", service="verified"),
        [PASS, "!dkim="],
    ),
    # -- back from a content filter
    Scene(
        "dmarc-inside",
        "evaluated",
        "Evaluated at the border: believed, and the seal taken off.",
        sends(signed(mail()), service="filtered-dmarc"),
        ["replace", PASS],
    ),
    Scene(
        "dmarc-inside",
        "verified",
        "Only verified at the border: evaluated here, on what the verifier found.",
        sends(signed(mail()), service="filtered-verify"),
        ["replace", PASS, "!spf="],
    ),
    Scene(
        "dmarc-inside",
        "forged",
        "Nobody stood at the border.",
        sends(mail(*_LIES, sender=CEO), client=None),
        ["remove", "dkim=none", FAIL, "accept"],
    ),
    # -- what the operator makes of results
    Scene(
        "dmarc-strict",
        "quarantine",
        "on_quarantine: header.",
        spoofs(author="a@shop.example"),
        ["X-DMARC-Quarantine", "accept"],
    ),
    Scene(
        "dmarc-strict",
        "temperror",
        "on_temperror: tempfail.",
        spoofs(author="a@broken.example"),
        ["451 4.7.1"],
    ),
    Scene(
        "dmarc-strict",
        "two-authors",
        "bad_from: reject.",
        spoofs(octets=_author(f"From: friend@example.org, {CEO}")),
        ["550 5.7.1"],
    ),
    Scene("dmarc-strict", "mailing-list", "indirect_mail: accept.", spoofs(*_LIST), ["dis=none", "accept"]),
    Scene(
        "dmarc-strict",
        "forwarder",
        "From one of trusted_forwarders.",
        sends(mail(sender=CEO), client=FORWARDER),
        ["dis=none", "accept"],
    ),
    Scene(
        "dmarc-strict",
        "ignored-author",
        "ignore_from.",
        spoofs(author="friend@example.org"),
        ["accept", f"!{FAIL}"],
    ),
]
