"""The mails of a soak, by kind: what is sent, what has to become of it, and how it has to arrive."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tests.harness.delivery import Delivery, compose
from tests.harness.keys import ed25519_key, passes, rsa_key
from tests.harness.smtp import STRANGER, Client

NUMBER = "X-Soak"
"""The field that tells which mail this is."""

FORWARDER = Client("198.51.100.7", "mx.forwarder.example", "mx.forwarder.example")
"""A host that no domain's SPF record names."""

_RESULTS = "Authentication-Results"


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail, as it is sent by *client*; by one of our users where its kind says so."""

    number: int
    kind: Kind
    octets: bytes
    sender: str
    recipients: tuple[str, ...]
    client: Client = STRANGER

    def faults(self, delivery: Delivery) -> str:
        """What is wrong with it as it arrived, "" for nothing."""
        own = [value for value in delivery.values(_RESULTS) if value.startswith("mail.example.nl")]
        text = " ".join(own)
        for words in self.kind.shows:
            if words not in text:
                return f"no {words} in {text!r}"
        for words in (*self.kind.hides, "gatepost-seal"):
            if words in text:
                return f"{words} in {text!r}"
        if self.kind.adds and not delivery.values(self.kind.adds):
            return f"no {self.kind.adds}"
        return self.kind.check(delivery)


def _nothing(_delivery: Delivery) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of mail.

    ``share`` is how many of a hundred are of it. ``shows`` is what our own
    results have to say at the recipient, ``hides`` what they must not; ``adds``
    is a field that has to be there.
    ``refused`` is in the reply of what has to be refused. ``fresh``: a sender
    of its own for each, whom greylisting has not seen.
    """

    name: str
    share: int
    domain: str = "good.example"
    shows: Sequence[str] = ()
    hides: Sequence[str] = ()
    adds: str = ""
    refused: str = ""
    sign: str = ""
    alter: bool = False
    client: Client = STRANGER
    recipients: int = 1
    size: int = 0
    extra: Sequence[tuple[str, str]] = ()
    null_sender: bool = False
    fresh: bool = False
    user: bool = False
    check: Callable[[Delivery], str] = _nothing


_REFUSED = "DMARC policy"
_PASS = ("dmarc=pass",)
_FORGED = (_RESULTS, "mail.example.nl; dmarc=pass header.from=forged.example")
_LIST = (("List-Id", "<list.example>"), ("List-Post", "<mailto:post@list.example>"))


class World:
    """Everybody who sends: their keys, what the DNS says of them, and their mails.

    ``inside`` and ``outside`` are who gets mail, from the world and from our users; ``records`` are the
    keys, by name, that our users' mail is signed with. ``date`` is in all mail.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.inside: Sequence[str] = [f"bert{number}@example.nl" for number in range(40)]
        self.outside: Sequence[str] = [f"bert{number}@good.example" for number in range(40)]
        self.date = "Sat, 21 Nov 2026 10:00:00 +0000"
        self.ours = rsa_key("example.nl")
        self.records: Mapping[str, str] = {self.ours.name: self.ours.record}
        self.keys = {"rsa": rsa_key("good.example"), "ed": ed25519_key("good.example")}
        self.kinds = [
            Kind("signed", 18, shows=("dkim=pass", *_PASS), sign="rsa"),
            Kind("signed ed25519", 8, shows=("dkim=pass", *_PASS), sign="ed"),
            Kind("by SPF alone", 9, shows=("dkim=none", *_PASS)),
            Kind("forwarded", 8, shows=("dkim=pass", *_PASS), sign="rsa", client=FORWARDER),
            Kind("by a list", 4, shows=("dkim=fail", "dmarc=fail"), sign="rsa", alter=True,
                 client=FORWARDER, extra=_LIST),
            Kind("broken", 6, refused=_REFUSED, sign="rsa", alter=True, client=FORWARDER),
            Kind("spoofed", 6, refused=_REFUSED, client=FORWARDER),
            Kind("spoofed, p=none", 4, "lax.example", shows=("dmarc=fail",), client=FORWARDER),
            Kind("spoofed, p=quarantine", 3, "warned.example", shows=("dmarc=fail",),
                 adds="X-DMARC-Quarantine", client=FORWARDER),
            Kind("without any", 6, "plain.example", shows=("dkim=none", "dmarc=none")),
            Kind("forged results", 4, "plain.example", shows=("dmarc=none",), hides=("forged.example",),
                 extra=(_FORGED,)),
            Kind("bounce", 3, "plain.example", shows=("dmarc=none",), null_sender=True),
            Kind("many recipients", 2, shows=_PASS, sign="rsa", recipients=40),
            Kind("big", 2, shows=_PASS, sign="rsa", size=2_000_000),
            Kind("newcomer", 5, shows=_PASS, fresh=True),
            Kind("submitted", 12, "example.nl", user=True, check=self.signed_by_us),
        ]  # fmt: skip

    def zone(self, ttl: int) -> dict[str, list[Mapping[str, object]]]:
        """What the DNS knows of them all; nobody may remember it for longer than *ttl* seconds."""
        texts = {
            "good.example": "v=spf1 ip4:192.0.2.10 -all",
            "_dmarc.good.example": "v=DMARC1; p=reject",
            "lax.example": "v=spf1 ip4:192.0.2.10 -all",
            "_dmarc.lax.example": "v=DMARC1; p=none",
            "warned.example": "v=spf1 ip4:192.0.2.10 -all",
            "_dmarc.warned.example": "v=DMARC1; p=quarantine",
            **{key.name: key.record for key in self.keys.values()},
        }
        return {name: [{"TXT": text}, {"TTL": ttl}] for name, text in texts.items()}

    def mail(self, number: int, kind: Kind | None = None) -> Mail:
        """The mail of a number; of any *kind* where none is given."""
        if kind is None:
            [kind] = self._random.choices(self.kinds, [each.share for each in self.kinds])
        author = f"{_word(number) if kind.fresh else 'friend'}@{kind.domain}"
        people = self.outside if kind.user else self.inside
        many = kind.recipients > 1
        recipients = (
            people[: kind.recipients] if many else [people[self._random.randrange(min(20, len(people)))]]
        )
        fields = [
            (NUMBER, str(number)),
            *kind.extra,
            ("From", author),
            ("To", recipients[0]),
            ("Subject", kind.name),
            ("Date", self.date),
            ("Message-ID", f"<{number}@{kind.domain}>"),
        ]
        line = f"This is mail {number}. " * 3
        body = f"{line}\n" * (1 + kind.size // (len(line) + 1))
        octets = compose(fields, body)
        if kind.sign:
            octets = self.keys[kind.sign].sign(octets)
        if kind.alter:
            octets += b"And a word more.\r\n"
        sender = "" if kind.null_sender else author
        return Mail(number, kind, octets, sender, tuple(recipients), kind.client)

    def signed_by_us(self, delivery: Delivery) -> str:
        """What is wrong with the signature of our user's mail, "" for nothing."""
        verdicts = passes(delivery.octets, self.records)
        return "" if verdicts == [True] else f"signatures: {verdicts}"


def _word(number: int) -> str:
    """A name for a number; digits would count as one sender's."""
    return "n" + "".join(chr(ord("a") + int(digit)) for digit in str(number))
