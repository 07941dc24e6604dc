"""Books that notice what does not add up, and senders whose mails a seed gives."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.harness.accounting.books import Books
from tests.harness.accounting.mail import RESULTS, Kind, Mail
from tests.harness.accounting.senders import Senders, signed_with
from tests.harness.delivery import Delivery
from tests.harness.keys import rsa_key

KEY = rsa_key("good.example")


def senders(seed: int = 1) -> Senders:
    kinds = [
        Kind("signed", 50, shows=("dkim=pass", "dmarc=pass"), sign="rsa"),
        Kind("spoofed", 25, refused="DMARC policy"),
        Kind("many recipients", 5, shows=("dmarc=pass",), sign="rsa", recipients=3),
        Kind("submitted", 20, user=True, check=signed_with({KEY.name: KEY.record})),
    ]
    inside, outside = (
        [f"bert{number}@{domain}" for number in range(5)] for domain in ("example.nl", "good.example")
    )
    date = "Sat, 21 Nov 2026 10:00:00 +0000"
    return Senders(seed, kinds, inside=inside, outside=outside, keys={"rsa": KEY}, date=date)


WORLD = senders()


def mail_of(kind: str, number: int = 1) -> Mail:
    return WORLD.mail(number, WORLD.kind(kind))


def arrived(mail: Mail, *results: str, recipient: str = "") -> Delivery:
    """The mail as it would arrive with these results."""
    fields = "".join(f"{RESULTS}: mail.example.nl; {result}\r\n" for result in results)
    return Delivery(recipient or mail.recipients[0], mail.sender, fields.encode() + mail.octets)


def told(books: Books, mail: Mail, what: str) -> None:
    books.enter(mail)
    books.decided(mail, what)


GOOD = "dkim=pass header.d=good.example; dmarc=pass header.from=good.example"


def lost(books: Books) -> None:
    told(books, mail_of("signed"), "taken")


def twice(books: Books) -> None:
    mail = mail_of("signed")
    told(books, mail, "taken")
    books.arrive([arrived(mail, GOOD), arrived(mail, GOOD)])


def refused(books: Books) -> None:
    told(books, mail_of("signed"), "550 5.7.1 DMARC policy")


def refused_for_another_reason(books: Books) -> None:
    told(books, mail_of("spoofed"), "554 5.3.0 trouble")


def accepted(books: Books) -> None:
    mail = mail_of("spoofed")
    told(books, mail, "taken")
    books.arrive([arrived(mail, "dmarc=fail")])


def undecided(books: Books) -> None:
    mail = mail_of("signed")
    books.enter(mail)
    books.came_back(mail, "451 later")


def wrong(books: Books) -> None:
    mail = mail_of("signed")
    told(books, mail, "taken")
    books.arrive([arrived(mail, "dkim=fail; dmarc=pass")])


def sealed(books: Books) -> None:
    mail = mail_of("signed")
    told(books, mail, "taken")
    books.arrive([arrived(mail, f"{GOOD} (gatepost-seal v1 t=1 m=x)")])


def unsigned(books: Books) -> None:
    mail = mail_of("submitted")
    told(books, mail, "taken")
    books.arrive([arrived(mail)])


def elsewhere(books: Books) -> None:
    mail = mail_of("signed")
    told(books, mail, "taken")
    books.arrive([arrived(mail, GOOD), arrived(mail, GOOD, recipient="nobody@example.nl")])


def invented(books: Books) -> None:
    books.arrive([Delivery("bert0@example.nl", "", b"Subject: Undelivered\r\n\r\n")])


def one_of_many(books: Books) -> None:
    mail = mail_of("many recipients")
    told(books, mail, "taken")
    books.arrive([arrived(mail, GOOD, recipient=each) for each in mail.recipients[1:]])


@pytest.mark.parametrize(
    ("happens", "found"),
    [
        (lost, "lost"),
        (one_of_many, "lost"),
        (twice, "delivered twice"),
        (refused, "wrongly refused"),
        (refused_for_another_reason, "wrongly refused"),
        (accepted, "wrongly accepted"),
        (undecided, "undecided"),
        (wrong, "a wrong result"),
        (sealed, "a wrong result"),
        (unsigned, "a wrong result"),
        (elsewhere, "arrived elsewhere"),
        (invented, "a mail that nobody sent"),
    ],
)
def test_the_books_notice(happens: Callable[[Books], None], found: str) -> None:
    books = Books()
    happens(books)
    books.close()
    assert list(books.discrepancies) == [found]


def test_what_adds_up() -> None:
    books = Books()
    good, bad = mail_of("signed"), mail_of("spoofed", 2)
    told(books, good, "taken")
    books.arrive([arrived(good, GOOD)])
    told(books, bad, "550 5.7.1 Email rejected per DMARC policy for good.example")
    assert books.open == 0
    books.close()
    assert not books.discrepancies
    assert {name: dict(outcomes) for name, outcomes in books.outcomes.items()} == {
        "signed": {"delivered": 1},
        "spoofed": {"refused": 1},
    }


def test_a_result_may_be_lost_while_seals_do_not_count() -> None:
    books = Books()
    mail = mail_of("signed")
    books.shaken(time.monotonic() - 5, time.monotonic() + 5)
    told(books, mail, "taken")
    books.arrive([arrived(mail, "dkim=none; dmarc=fail")])
    books.close()
    assert not books.discrepancies


def test_the_seed_gives_the_mails() -> None:
    one, other = senders(5), senders(5)
    kinds: list[list[Kind]] = [[world.mail(number).kind for number in range(50)] for world in (one, other)]
    assert [kind.name for kind in kinds[0]] == [kind.name for kind in kinds[1]]
