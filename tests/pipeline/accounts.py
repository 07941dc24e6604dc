"""Mail with books kept of it, on a server that runs: what is sent, what the senders are told, what arrives."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.harness.accounting.books import TWICE, Books
from tests.harness.accounting.mail import Mail
from tests.harness.accounting.traffic import Traffic
from tests.harness.delivery import Delivery
from tests.harness.waiting import wait_for
from tests.pipeline.server import Server
from tests.pipeline.servers.dns import OUTSIDE
from tests.pipeline.world import PEOPLE, World, bring

SETTLING = 180.0
"""Seconds within which all mail has to be decided and delivered once no more is sent."""

_MAILBOXES = Path("/var/mail/vhosts")

# Dovecot's LMTP writes these above the message.
_DELIVERY_FIELDS = (b"Return-Path:", b"Delivered-To:")


class Accounts:
    """Traffic of *world* to *server*, as a context manager: *rate* new mails a second by *clients*, and what is added.

    No other mail may be under way on the server meanwhile.
    """

    def __init__(self, server: Server, world: World, rate: float = 0.0, clients: int = 8) -> None:
        self._server = server
        self.books = Books()
        self.traffic = Traffic(world.mail, bring, self.books, rate, clients)

    def __enter__(self) -> Self:
        self.collect()
        self.traffic.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.traffic.__exit__(kind, error, trace)

    def collect(self) -> None:
        """Enter what has arrived."""
        self.books.arrive(_taken(_mailboxes()))
        self.books.arrive(self._server.outside.take_deliveries())

    def settled(self) -> int:
        """How many mails are done with so far: refused, or arrived."""
        self.collect()
        return self.books.sent - self.books.open

    def arrived(self) -> int:
        """How many mails lie where they belong, not yet entered."""
        outside = self._server.outside.directory / "mail" / OUTSIDE.domain / "new"
        return sum(1 for place in (*_mailboxes(), outside) for _ in place.glob("*"))

    def settle(self) -> None:
        """Send no new mail, and wait until every one is decided, has arrived, and has left all queues."""

        def done() -> bool:
            self.collect()
            return not self.traffic.waiting and not self.books.open

        self.traffic.no_more()
        try:
            wait_for(done, "the end of all mail", SETTLING)
        except TimeoutError:
            pass  # the books tell what is missing
        try:
            self._server.wait_until_idle()
        except TimeoutError as error:
            raise TimeoutError(f"{error}\n{_stuck(self._server)}") from None
        self._server.outside.wait_until_idle()
        self.collect()

    def problems(self, in_hand: int = 0) -> list[str]:
        """Close the books: what is wrong with them, nothing when all is well.

        So many mails as were *in_hand* where something went away may have come twice.
        """
        books = self.books
        books.close()
        if books.discrepancies[TWICE] <= in_hand:
            del books.discrepancies[TWICE]
        found = [f"{what}: {books.examples[what]}" for what in books.discrepancies]
        if books.sent != (total := self.count("delivered") + self.count("refused")):
            found.append(f"{books.sent} sent, {total} delivered or refused")
        return found + self.traffic.broken

    def count(self, outcome: str) -> int:
        """How many mails had this outcome; known once the books are closed."""
        return sum(outcomes[outcome] for outcomes in self.books.outcomes.values())

    def expected(self, mails: Iterable[Mail]) -> int:
        """How many deliveries there have to be of these."""
        return sum(len(mail.recipients) for mail in mails if not mail.kind.refused)


def _stuck(server: Server) -> str:
    """What is in the queue, and what the log says of it."""
    waiting = server.queue()
    log = server.mx.log().splitlines()
    told = [line for line in log if any(mail["queue_id"] in line for mail in waiting)]
    return "\n".join([*map(str, waiting), *told])


def _mailboxes() -> list[Path]:
    people = (user.partition("@") for user in PEOPLE)
    return [_MAILBOXES / domain / name / "Maildir" / "new" for name, _, domain in people]


def _taken(mailboxes: Iterable[Path]) -> Iterable[Delivery]:
    """The new mails, taken out of the mailboxes."""
    for place in mailboxes:
        for file in place.glob("*"):
            octets = file.read_bytes().replace(b"\r\n", b"\n")
            file.unlink()
            values = []
            for name in _DELIVERY_FIELDS:
                line, _, octets = octets.partition(b"\n")
                if not line.startswith(name):
                    raise ValueError(f"{file}: {name.decode()} expected, {line!r} found")
                values.append(line[len(name) :].strip(b" <>").decode())
            sender, recipient = values
            yield Delivery(recipient, sender, octets.replace(b"\n", b"\r\n"))
