"""What a recorded session is made of: what an SMTP client does, and what has to come of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.harness.smtp import STRANGER, Client, DisconnectedError, RefusedError, Session, stuffed
from tests.sessions.bench import LOGIN, Bench
from tests.sessions.mails import ANNA, BERT, FRIEND

NEIGHBOUR = Client("198.51.100.7", "printer.example.nl", "printer.example.nl")
"""A client in the trusted networks."""
IPV6 = Client("2001:db8::25", "mx.example.org", "mx.example.org")
NAMELESS = Client("192.0.2.99", "", "[192.0.2.99]")

Act = Callable[[Bench, str], None]
"""Does it, on the smtpd service of the daemon whose name it is given."""


@dataclass(frozen=True)
class Scene:
    """One session to be recorded: with which *daemon*, under which *name*, what it shows, and how it comes about.

    *expect* are words that have to be in the daemon's answers, or with "!" in
    front must not be; with none, there must be no answer.
    """

    daemon: str
    name: str
    purpose: str
    act: Act
    expect: Sequence[str] = ()


def sends(
    *mails: bytes,
    client: Client | None = STRANGER,
    login: tuple[str, str] | None = None,
    sender: str = FRIEND,
    recipients: Sequence[str] = (BERT,),
    parameters: Sequence[str] = (),
    service: str = "",
    pipelined: bool = False,
) -> Act:
    """One connection, on which the mails are sent one after the other."""

    def act(bench: Bench, daemon: str) -> None:
        with bench.connect(service or daemon, client, login) as session:
            for each in mails:
                send = session.send_pipelined if pipelined else session.send
                try:
                    send(each, sender, recipients, *parameters)
                except RefusedError as error:
                    if error.stage != "END":
                        raise
            session.quit()

    return act


def submits(*mails: bytes, recipients: Sequence[str] = (FRIEND,), sender: str = ANNA) -> Act:
    """As ``sends``, by a user who logs in."""
    return sends(*mails, client=STRANGER, login=LOGIN, sender=sender, recipients=recipients)


def does(*lines: str, client: Client = STRANGER, then: Sequence[bytes] = (), end: str = "quit") -> Act:
    """Commands one by one, whatever is answered, then whole mails, then *end*: quit, close or abort."""

    def act(bench: Bench, daemon: str) -> None:
        session = bench.connect(daemon, client)
        for line in lines:
            session.command(line)
        for each in then:
            session.send(each, FRIEND, [BERT])
        getattr(session, end)()

    return act


def breaks_off(octets: bytes, *, end: str = "close") -> Act:
    """Leaves in the middle of a message, after these *octets* of it."""

    def act(bench: Bench, daemon: str) -> None:
        session = bench.connect(daemon, STRANGER)
        session.envelope(FRIEND, [BERT])
        session.command("DATA", need=True)
        session.write(octets)
        getattr(session, end)()

    return act


def leaves_before_the_verdict(octets: bytes) -> Act:
    """Sends all of the message, and does not wait for what becomes of it."""

    def act(bench: Bench, daemon: str) -> None:
        session = bench.connect(daemon, STRANGER)
        session.envelope(FRIEND, [BERT])
        session.command("DATA", need=True)
        session.write(stuffed(octets))
        session.close()

    return act


def through_the_filter(octets: bytes) -> Act:
    """In at the border, through a content filter, and back in to the daemon inside."""

    def act(bench: Bench, _: str) -> None:
        with bench.connect("filtered", STRANGER) as session:
            session.send(octets, FRIEND, [BERT])
            session.quit()

    return act


def only_connects(*, greet: bool) -> Act:
    """Connects and leaves."""

    def act(bench: Bench, daemon: str) -> None:
        session = Session(bench.postfix.port(daemon))
        if greet:
            session.ehlo()
        try:
            session.quit()
        except DisconnectedError:
            pass

    return act
