"""Who sends mail to the server: servers of the world from their own addresses, and users who log in."""

from __future__ import annotations

import itertools
import smtplib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import formatdate

from tests.harness.delivery import compose
from tests.harness.smtp import Reply
from tests.pipeline.machine import ADDRESS
from tests.pipeline.mailbox import untrusting
from tests.pipeline.servers.dns import Party
from tests.pipeline.servers.mariadb import PASSWORD

_PAUSE = 1.1
"""Seconds after which a mail that was put off comes again: the greylist's delay here, and a little."""

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Mail:
    """A message and the Message-ID that it is found by."""

    octets: bytes
    message_id: str


def mail(author: str, recipient: str, *extra: tuple[str, str], body: str = "Hello.\n") -> Mail:
    """A plain mail with a Message-ID that no other has, the *extra* fields on top."""
    message_id = f"<{next(_numbers)}.{time.time_ns()}@{author.rpartition('@')[2]}>"
    fields = [
        ("From", author),
        ("To", recipient),
        ("Subject", "A word"),
        ("Date", formatdate()),
        ("Message-ID", message_id),
    ]
    return Mail(compose([*extra, *fields], body), message_id)


@dataclass(frozen=True)
class Outcome:
    """What the server said to the message, and how often it had put it off before."""

    code: int
    text: str
    put_off: Sequence[str]


def send(
    party: Party,
    octets: bytes,
    sender: str,
    recipients: Sequence[str],
    *,
    attempts: int = 5,
    address: str = "",
    helo: str = "",
) -> Outcome:
    """Bring a mail to port 25 as *party* does it: from its address (or *address*), and again when it is put off."""
    put_off: list[str] = []
    waiting = list(recipients)
    for _ in range(attempts):
        source = (address or party.address, 0)
        with smtplib.SMTP(ADDRESS, 25, helo or party.name, 60, source_address=source) as session:
            replies = _attempt(session, octets, sender, waiting)
        lasting = [reply for reply in replies.values() if reply.code >= 500]
        if lasting:
            return Outcome(lasting[0].code, lasting[0].text, put_off)
        if not replies:
            return Outcome(250, "", put_off)
        waiting = list(replies)
        put_off += [reply.text for reply in replies.values()]
        time.sleep(_PAUSE)
    return Outcome(450, put_off[-1], put_off)


def _attempt(
    session: smtplib.SMTP, octets: bytes, sender: str, recipients: Sequence[str]
) -> dict[str, Reply]:
    """What was said to the recipients to whom the mail did not go."""
    try:
        replies = session.sendmail(sender, recipients, octets)
    except smtplib.SMTPRecipientsRefused as error:
        # Without an answer are those who were not asked: after 20 refusals Postfix closes the connection.
        replies = dict.fromkeys(recipients, (421, b"no answer")) | error.recipients
    except smtplib.SMTPResponseException as error:
        return dict.fromkeys(recipients, Reply(error.smtp_code, (_text(error.smtp_error),)))
    return {each: Reply(code, (_text(text),)) for each, (code, text) in replies.items()}


def submit(user: str, octets: bytes, recipients: Sequence[str], *, port: int = 587, sender: str = "") -> None:
    """Hand in a mail as *user*, on 587 with STARTTLS or on 465; raises smtplib's errors where it is refused."""
    session: smtplib.SMTP
    if port == 465:
        session = smtplib.SMTP_SSL(ADDRESS, port, "laptop.example.nl", timeout=60, context=untrusting())
    else:
        session = smtplib.SMTP(ADDRESS, port, "laptop.example.nl", 60)
        session.starttls(context=untrusting())
    with session:
        session.login(user, PASSWORD)
        session.sendmail(sender or user, recipients, octets)


def _text(reply: bytes | str) -> str:
    return reply.decode("utf-8", "replace") if isinstance(reply, bytes) else reply
