"""A mail that is accounted for, and its kind: what has to become of it, and how it has to arrive."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.harness.delivery import Delivery
from tests.harness.smtp import STRANGER, Client

NUMBER = "X-Number"
"""The field that tells which mail this is."""

RESULTS = "Authentication-Results"


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
        own = [value for value in delivery.values(RESULTS) if value.startswith("mail.example.nl")]
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
