"""What a user finds in the mailbox, over IMAP."""

from __future__ import annotations

import imaplib
import ssl
from types import TracebackType
from typing import Self

from tests.harness.delivery import Delivery
from tests.harness.waiting import wait_for
from tests.pipeline.machine import ADDRESS
from tests.pipeline.servers.dovecot import PORT
from tests.pipeline.servers.mariadb import PASSWORD


def untrusting() -> ssl.SSLContext:
    """TLS with whoever is there: the certificate is of today."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Mailbox:
    """The inbox of *user*, as a context manager."""

    def __init__(self, user: str) -> None:
        self._user = user
        self._imap = imaplib.IMAP4_SSL(ADDRESS, PORT, ssl_context=untrusting())

    def __enter__(self) -> Self:
        self._imap.login(self._user, PASSWORD)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._imap.logout()

    def find(self, message_id: str) -> list[Delivery]:
        """All mails with this Message-ID."""
        self._imap.select("INBOX", readonly=True)
        _, [numbers] = self._imap.search(None, "HEADER", "Message-ID", f'"{message_id}"')
        return [self._fetch(number.decode()) for number in numbers.split()]

    def _fetch(self, number: str) -> Delivery:
        _, [part, _] = self._imap.fetch(number, "(BODY.PEEK[])")
        assert isinstance(part, tuple)
        return Delivery(self._user, "", part[1])

    def count(self) -> int:
        """How many mails there are."""
        _, [number] = self._imap.select("INBOX", readonly=True)
        return int(number or b"0")


def arrived(user: str, message_id: str, timeout: float = 60.0) -> Delivery:
    """The one mail with this Message-ID in the mailbox of *user*, once it is there.

    Raises TimeoutError when it does not come, AssertionError when it is there more than once.
    """
    with Mailbox(user) as mailbox:
        found = wait_for(lambda: mailbox.find(message_id), f"{message_id} for {user}", timeout)
    assert len(found) == 1
    return found[0]
