"""Mail at a steady rate, by some clients who come again with what is put off."""

from __future__ import annotations

import heapq
import itertools
import random
import re
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from tests.harness.accounting.books import Books
from tests.harness.accounting.mail import Mail
from tests.harness.smtp import DisconnectedError, RefusedError

PATIENCE = 120.0
"""Seconds for which a client waits for a reply."""
COMES_AGAIN = 0.5
"""Seconds until what is put off comes again, at first; up to four times as long later."""

_NUMBERS = re.compile(r"\d+")


class Traffic:
    """Sends *rate* new mails a second, made by *make*, and keeps the books; with a rate of 0, only what is added.

    *send* tries once, as a client of the server. It raises RefusedError, DisconnectedError, OSError.
    """

    def __init__(
        self,
        make: Callable[[int], Mail],
        send: Callable[[Mail], None],
        books: Books,
        rate: float,
        clients: int,
    ) -> None:
        self._make = make
        self._send = send
        self._books = books
        self._rate = rate
        self._numbers = itertools.count(1)
        self._due: list[tuple[float, int, Mail, int]] = []
        self._changed = threading.Condition()
        self._sending = True
        self._over = False
        self._busy = 0
        self.broken: list[str] = []
        """What went wrong with the clients themselves."""
        self._threads = [threading.Thread(target=self._client, daemon=True) for _ in range(clients)]
        if rate:
            self._threads.append(threading.Thread(target=self._drip, daemon=True))

    def _drip(self) -> None:
        due = time.monotonic()
        while self._sending:
            self.add(self._make(next(self._numbers)), due)
            due = max(due + 1 / self._rate, time.monotonic() - 1)
            time.sleep(max(0.0, due - time.monotonic()))

    def add(self, mail: Mail, due: float = 0.0) -> None:
        """Send this one too, not before *due*."""
        self._books.enter(mail)
        self._put(mail, due, 0)

    def _put(self, mail: Mail, due: float, tries: int) -> None:
        with self._changed:
            heapq.heappush(self._due, (due, mail.number, mail, tries))
            self._changed.notify()

    def _take(self) -> tuple[Mail, int] | None:
        with self._changed:
            while not self._over:
                now = time.monotonic()
                if self._due and self._due[0][0] <= now:
                    _, _, mail, tries = heapq.heappop(self._due)
                    self._busy += 1
                    return mail, tries
                self._changed.wait(min(1.0, self._due[0][0] - now) if self._due else 1.0)
        return None

    def _client(self) -> None:
        while (taken := self._take()) is not None:
            mail, tries = taken
            try:
                self._try(mail, tries)
            except Exception as error:  # nobody else would tell
                self.broken.append(f"mail {mail.number}: {error!r}")
            finally:
                with self._changed:
                    self._busy -= 1

    def _try(self, mail: Mail, tries: int) -> None:
        try:
            self._send(mail)
        except RefusedError as error:
            text = f"{error.reply.code} {error.reply.text}"
            if error.reply.code >= 500:
                self._books.decided(mail, text)
                return
        except (DisconnectedError, OSError) as error:
            text = repr(error)
        else:
            self._books.decided(mail, "taken")
            return
        self._books.came_back(mail, _NUMBERS.sub("N", text)[:120])
        pause = COMES_AGAIN * min(1 + tries / 4, 4) * random.uniform(0.8, 1.2)
        self._put(mail, time.monotonic() + pause, tries + 1)

    @property
    def waiting(self) -> int:
        """How many mails have to be sent, or sent again."""
        with self._changed:
            return len(self._due) + self._busy

    def no_more(self) -> None:
        """Send no new mail; what is put off comes again still."""
        self._sending = False

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sending = False
        with self._changed:
            self._over = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(PATIENCE)
