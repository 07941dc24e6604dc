"""Everybody who sends, and their mails: any number of them, the same for the same seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence

from tests.harness.accounting.mail import NUMBER, Kind, Mail
from tests.harness.delivery import Delivery, compose
from tests.harness.keys import KeyPair, passes


class Senders:
    """Send mail of *kinds*, drawn by their shares.

    ``inside`` and ``outside`` are who gets mail, from the world and from our users; ``keys`` are those
    that a kind's ``sign`` names. ``date`` is in all mail.
    """

    def __init__(
        self,
        seed: int,
        kinds: Sequence[Kind],
        *,
        inside: Sequence[str],
        outside: Sequence[str],
        keys: Mapping[str, KeyPair],
        date: str,
    ) -> None:
        self._random = random.Random(seed)
        self.kinds = kinds
        self.inside = inside
        self.outside = outside
        self.keys = keys
        self.date = date

    def kind(self, name: str) -> Kind:
        """The kind of this name."""
        [found] = [each for each in self.kinds if each.name == name]
        return found

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


def signed_with(records: Mapping[str, str]) -> Callable[[Delivery], str]:
    """A check of our users' mail: what is wrong with its one signature by these key *records*, by name."""

    def check(delivery: Delivery) -> str:
        verdicts = passes(delivery.octets, records)
        return "" if verdicts == [True] else f"signatures: {verdicts}"

    return check


def _word(number: int) -> str:
    """A name for a number; digits would count as one sender's."""
    return "n" + "".join(chr(ord("a") + int(digit)) for digit in str(number))
