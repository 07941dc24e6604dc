"""Who writes to whom in the end-to-end tests, the mails that are hard to sign, and mail that keeps coming."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.harness.delivery import Delivery, compose
from tests.harness.keys import KeyPair
from tests.harness.postfix import Postfix
from tests.harness.smtp import DisconnectedError, RefusedError, Reply
from tests.harness.waiting import PATIENCE, wait_for

ANNA, BERT, FRIEND = "anna@example.nl", "bert@example.nl", "friend@example.org"
RESULTS = "Authentication-Results"


def message(
    sender: str, recipient: str, *extra: tuple[str, str], body: str = "Hello.\n", number: int = 1
) -> bytes:
    """A plain mail, the *extra* fields on top."""
    fields = [
        ("From", sender),
        ("To", recipient),
        ("Subject", "A word"),
        ("Date", "Sat, 21 Nov 2026 10:00:00 +0000"),
        ("Message-ID", f"<{number}@example.org>"),
    ]
    return compose([*extra, *fields], body)


def key_entries(directory: Path, keys: Iterable[KeyPair]) -> list[dict[str, str]]:
    """The ``keys:`` of dkim-sign for *keys*, which are written below *directory*."""
    return [
        {
            "domain": key.domain,
            "selector": key.selector,
            "file": str(key.write(directory / f"{key.domain}.{key.selector}.private")),
        }
        for key in keys
    ]


def zone_of(keys: Iterable[KeyPair]) -> dict[str, Sequence[str | Mapping[str, Any]]]:
    """The DNS zone that publishes *keys*."""
    return {key.name: [{"TXT": key.record}] for key in keys}


def records_of(keys: Iterable[KeyPair]) -> dict[str, str]:
    """The TXT records of *keys* by name."""
    return {key.name: key.record for key in keys}


def awkward(sender: str) -> dict[str, bytes]:
    """Mails from *sender* that a signature does not survive unless everyone reads them to the octet.

    By name; each with CRLF line ends, and From, To, Subject, Date and Message-ID
    somewhere in it. None has a line beyond 998 octets, which SMTP would break.
    """
    return {
        name.replace(" ", "-"): (
            b"From: %b\r\nTo: friend@example.org\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\n"
            b"Message-ID: <%b@example.nl>\r\n%b\r\n%b"
            % (
                sender.encode(),
                name.replace(" ", ".").encode(),
                _HEADERS.get(name, b"Subject: A word\r\n"),
                body,
            )
        )
        for name, body in {**dict.fromkeys(_HEADERS, b"Hello.\r\n"), **_BODIES}.items()
    }


# No vertical tab or form feed: others squeeze them as white space, which for DKIM they are not (RFC 6376 §2.8).
_HEADERS: Mapping[str, bytes] = {
    "folded with spaces": b"Subject: one\r\n  two\r\n     three\r\n",
    "folded with tabs": b"Subject: one\r\n\ttwo\r\n\t\t three\r\n",
    "folded after the colon": b"Subject:\r\n one\r\n",
    "white space before a fold": b"Subject: one \t \r\n two \r\n\t three  \r\n",
    "folded within a word list": b"Subject: a\r\n b\r\n c\r\nKeywords: d,\r\n\te ,\r\n f\r\n",
    "a long field": b"Subject: x\r\nReferences:"
    + b"".join(b"\r\n\t<%03d.%b@example.org>" % (n, b"r" * 60) for n in range(120))
    + b"\r\n",
    "a long line": b"Subject: " + b"x" * 980 + b"\r\n",
    "no space after the colon": b"Subject:close\r\n",
    "much space after the colon": b"Subject: \t   far \t  away   \r\n",
    "an empty field": b"Subject:\r\nReply-To: \r\n",
    "names in odd case": b"sUBJECT: A word\r\nMIME-VERSION: 1.0\r\ncontent-TYPE: text/plain\r\n",
    "a field twice": b"Subject: one\r\nCc: a@example.org\r\nCc: b@example.org\r\n",
    "UTF-8 in the header": "Subject: Zażółć gęślą jaźń\r\n".encode(),
    "latin-1 in the header": b"Subject: caf\xe9 \xa0 \x85\r\n",
}

_BODIES: Mapping[str, bytes] = {
    "an empty body": b"",
    "one empty line": b"\r\n",
    "only empty lines": b"\r\n" * 7,
    "only white space": b" \t\r\n\t\r\n   \r\n",
    "trailing empty lines": b"Hello.\r\n\r\n\r\n \r\n\r\n",
    "leading empty lines": b"\r\n\r\nHello.\r\n",
    "trailing white space": b"one \t\r\ntwo  \r\n \tthree \t four\t\r\n",
    "dots": b".\r\n..\r\n...x\r\n.x.\r\n \r\n.\r\n",
    "eight bits": b"caf\xc3\xa9 \xff\xfe\x80\r\n" * 20,
    "long lines": b"".join(b"%b  %b\r\n" % (b"y" * n, b"z" * (990 - n)) for n in range(0, 990, 90)),
    "bare carriage returns": b"one\rtwo \r three\r\r\nfour\r\n",
    "looks like a header": b"From: other@example.net\r\nSubject: no\r\n\r\nFrom here on\r\n",
    # Chunks end every 65,535 octets; these lines have their white space and line ends everywhere.
    "many chunks": b"".join(
        b"%b%b%b\r\n" % (b"w" * (n % 71), b" \t"[: n % 3] * (n % 5), b"v" * (n % 3)) for n in range(9000)
    )
    + b"\r\n" * 70000,
}


class Traffic:
    """Mail that keeps coming from several clients at once while the ``with`` lasts.

    *send* sends the mail of a given number, as tests.harness.smtp.deliver
    does. A mail that is put off (4yz), or whose connection broke, is sent again
    until it is taken. ``accepted`` lists the numbers that were taken, ``put_off``
    and ``refused`` count the replies that were not positive, by their text.
    Mail that is put off comes again after *pause* seconds: sooner than that of a
    server out there.
    """

    def __init__(self, send: Callable[[int], Reply], clients: int = 4, pause: float = 0.05) -> None:
        self.accepted: list[int] = []
        self.put_off: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self._send = send
        self._pause = pause
        self._numbers = itertools.count(1)
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._client, daemon=True) for _ in range(clients)]

    def _client(self) -> None:
        while not self._over.is_set():
            number = next(self._numbers)
            while not self._sent(number):
                time.sleep(self._pause)
            self._over.wait(0.01)

    def _sent(self, number: int) -> bool:
        try:
            self._send(number)
        except RefusedError as error:
            if error.reply.code >= 500:
                self.refused[error.reply.text] += 1
                return True
            self.put_off[error.reply.text] += 1
            return False
        except (DisconnectedError, OSError) as error:
            self.put_off[repr(error)] += 1
            return False
        self.accepted.append(number)
        return True

    def more(self, count: int = 20) -> None:
        """Wait until *count* more mails have been taken."""
        wanted = len(self.accepted) + count
        wait_for(lambda: len(self.accepted) >= wanted, f"{count} more mails")

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(PATIENCE)


def nothing_lost(postfix: Postfix, traffic: Traffic) -> list[Delivery]:
    """Assert that each mail that was taken has been delivered once, and no other; returns them.

    Mails are told apart by their recipient, ``NUMBER@example.nl``; others are no traffic.
    """
    postfix.wait_until_idle()
    delivered = [each for each in postfix.deliveries() if each.recipient.partition("@")[0].isdigit()]
    assert Counter(each.recipient for each in delivered) == Counter(
        f"{number}@example.nl" for number in traffic.accepted
    )
    assert traffic.refused == Counter()
    return delivered
