"""A soak of some seconds, and books that notice what does not add up."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.support import RESULTS
from tests.harness.delivery import Delivery
from tests.harness.postfix import unavailable
from tests.soak.books import Books
from tests.soak.mails import Kind, Mail, World
from tests.soak.run import Plan, Soak

WORLD = World(1)
KINDS = {kind.name: kind for kind in WORLD.kinds}


@pytest.mark.e2e
def test_a_short_one(tmp_path: Path) -> None:
    if reason := unavailable():
        pytest.skip(f"end-to-end tests cannot run here: {reason}")
    faults = (
        "a worker killed",
        "all workers killed",
        "a reload",
        "redis killed",
        "the clock stepped forward",
    )
    plan = Plan(seconds=6, seed=1, rate=10, pause=(0.2, 0.5), warm_up=1, only=faults)
    report = Soak(plan, tmp_path, lambda _: None).run()
    assert report.problems == []
    assert report.books.sent > 30
    assert report.faults.done


def arrived(mail: Mail, *results: str, recipient: str = "") -> Delivery:
    """The mail as it would arrive with these results."""
    fields = "".join(f"{RESULTS}: mail.example.nl; {result}\r\n" for result in results)
    return Delivery(recipient or mail.recipients[0], mail.sender, fields.encode() + mail.octets)


def told(books: Books, mail: Mail, what: str) -> None:
    books.enter(mail)
    books.decided(mail, what)


GOOD = "dkim=pass header.d=good.example; dmarc=pass header.from=good.example"


def lost(books: Books) -> None:
    told(books, WORLD.mail(1, KINDS["signed"]), "taken")


def twice(books: Books) -> None:
    mail = WORLD.mail(1, KINDS["signed"])
    told(books, mail, "taken")
    books.arrive([arrived(mail, GOOD), arrived(mail, GOOD)])


def refused(books: Books) -> None:
    told(books, WORLD.mail(1, KINDS["signed"]), "550 5.7.1 DMARC policy")


def refused_for_another_reason(books: Books) -> None:
    told(books, WORLD.mail(1, KINDS["spoofed"]), "554 5.3.0 trouble")


def accepted(books: Books) -> None:
    mail = WORLD.mail(1, KINDS["spoofed"])
    told(books, mail, "taken")
    books.arrive([arrived(mail, "dmarc=fail")])


def undecided(books: Books) -> None:
    mail = WORLD.mail(1, KINDS["signed"])
    books.enter(mail)
    books.came_back(mail, "451 later")


def wrong(books: Books) -> None:
    mail = WORLD.mail(1, KINDS["signed"])
    told(books, mail, "taken")
    books.arrive([arrived(mail, "dkim=fail; dmarc=pass")])


def sealed(books: Books) -> None:
    mail = WORLD.mail(1, KINDS["signed"])
    told(books, mail, "taken")
    books.arrive([arrived(mail, f"{GOOD} (gatepost-seal v1 t=1 m=x)")])


def unsigned(books: Books) -> None:
    mail = WORLD.mail(1, KINDS["submitted"])
    told(books, mail, "taken")
    books.arrive([arrived(mail)])


def elsewhere(books: Books) -> None:
    mail = WORLD.mail(1, KINDS["signed"])
    told(books, mail, "taken")
    books.arrive([arrived(mail, GOOD), arrived(mail, GOOD, recipient="nobody@example.nl")])


def invented(books: Books) -> None:
    books.arrive([Delivery("bert0@example.nl", "", b"Subject: Undelivered\r\n\r\n")])


def one_of_many(books: Books) -> None:
    mail = WORLD.mail(1, KINDS["many recipients"])
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
    good, bad = WORLD.mail(1, KINDS["signed"]), WORLD.mail(2, KINDS["spoofed"])
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
    mail = WORLD.mail(1, KINDS["signed"])
    books.shaken(time.monotonic() - 5, time.monotonic() + 5)
    told(books, mail, "taken")
    books.arrive([arrived(mail, "dkim=none; dmarc=fail")])
    books.close()
    assert not books.discrepancies


def test_every_kind_has_its_share_and_its_mail() -> None:
    assert sum(kind.share for kind in WORLD.kinds) == 100
    for number, kind in enumerate(WORLD.kinds, 1):
        mail = WORLD.mail(number, kind)
        assert mail.kind is kind
        assert len(mail.recipients) == kind.recipients
        assert len(mail.octets) >= kind.size


def test_the_seed_gives_the_mails() -> None:
    one, other = World(5), World(5)
    kinds: list[list[Kind]] = [[world.mail(number).kind for number in range(50)] for world in (one, other)]
    assert [kind.name for kind in kinds[0]] == [kind.name for kind in kinds[1]]
