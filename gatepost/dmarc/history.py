"""One row a message, for aggregate reports (RFC 9990), in SQLite.

Rows are collected in memory and written once a second, or as soon as there
are many, in one transaction: a crash loses the last second at most. A database
that cannot be written costs rows, which are counted, and never a message.
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from gatepost.dmarc.evaluate import Evaluation
from gatepost.dmarc.evidence import Finding
from gatepost.dmarc.record import Record
from gatepost.message import Envelope

WRITE_EVERY = 1.0
"""Seconds between two transactions."""
MANY = 1000
"""Rows that are written at once, however short the time: some ten milliseconds of work."""
MOST_WAITING = 10_000
"""Rows that wait while the database cannot be written; further ones are dropped."""
MOST_CHARACTERS = 16_000_000
"""Characters in these rows that a stranger may have chosen; further rows are dropped."""
_URIS_KEPT = 16
"""Addresses for reports in the longest record whose JSON is kept."""
_BUSY = 0.02  # mail waits as long, so another process's lock is rather left alone until the next second

_json = json.JSONEncoder(separators=(",", ":")).encode

_SCHEMA = """
CREATE TABLE IF NOT EXISTS message (
    id INTEGER PRIMARY KEY,
    time REAL NOT NULL,
    queue_id TEXT NOT NULL,
    client_address TEXT NOT NULL,
    mail_from TEXT NOT NULL,
    author_domain TEXT NOT NULL,
    policy_domain TEXT NOT NULL,
    record TEXT NOT NULL,
    result TEXT NOT NULL,
    disposition TEXT NOT NULL,
    override TEXT NOT NULL,
    spf TEXT NOT NULL,
    dkim TEXT NOT NULL,
    aligned_spf INTEGER NOT NULL,
    aligned_dkim INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS message_time ON message (time);
"""


class Row(NamedTuple):
    """What a report tells of a message. ``time`` is in seconds since 1970; the reported policy is JSON in ``record``.

    ``spf`` and ``dkim`` are JSON lists of checks, ``override`` is the reason for
    a disposition other than the policy's (RFC 9990), "" for none.
    """

    time: float
    queue_id: str
    client_address: str
    mail_from: str
    author_domain: str
    policy_domain: str
    record: str
    result: str
    disposition: str
    override: str
    spf: str
    dkim: str
    aligned_spf: bool
    aligned_dkim: bool

    @classmethod
    def of(
        cls,
        envelope: Envelope,
        evaluation: Evaluation,
        spf: Finding | None,
        dkim: Iterable[Finding],
        *,
        client_address: str,
        disposition: str,
        override: str,
        time: float,
    ) -> Row:
        """The row for a message that a record applied to. *client_address* is whom it came from, filters left out."""
        return cls(
            time=time,
            queue_id=_storable(envelope.queue_id),
            client_address=_storable(client_address),
            mail_from=envelope.mail_from.decode("utf-8", "replace"),
            author_domain=evaluation.domain,
            policy_domain=evaluation.policy_domain,
            record=_policy(evaluation.record),
            result=evaluation.verdict,
            disposition=disposition,
            override=override,
            spf=_json([spf.result, spf.domain] if spf is not None else []),
            dkim=_json([[finding.result, finding.domain, finding.selector] for finding in dkim]),
            aligned_spf=bool(evaluation.spf),
            aligned_dkim=bool(evaluation.dkim),
        )

    @property
    def size(self) -> int:
        """Characters of the parts that may be long."""
        return (
            len(self.mail_from) + len(self.author_domain) + len(self.record) + len(self.spf) + len(self.dkim)
        )


def _policy(record: Record | None) -> str:
    """What a report repeats of the record (RFC 9990, policy_published), as JSON."""
    if record is None:
        return "{}"
    # A record of 8 kB may name thousands, and be a stranger's.
    few = len(record.aggregate_uris) + len(record.failure_uris) <= _URIS_KEPT
    return _kept(record) if few else _published(record)


def _published(record: Record) -> str:
    return _json(
        {
            "p": record.policy,
            "sp": record.subdomain_policy,
            "np": record.nonexistent_policy,
            "adkim": "s" if record.strict_dkim else "r",
            "aspf": "s" if record.strict_spf else "r",
            "t": "y" if record.testing else "n",
            "fo": record.failure_options,
            "rua": record.aggregate_uris,
        }
    )


_kept = lru_cache(maxsize=256)(_published)  # most mail comes from few domains


def _storable(text: str) -> str:
    """Text of the MTA, which may hold octets that are no UTF-8, as SQLite takes it."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


_INSERT = f"INSERT INTO message ({', '.join(Row._fields)}) VALUES ({', '.join('?' * len(Row._fields))})"


class History:
    """The rows on their way into the file at *path*. Belongs to one event loop.

    *complain* is told, in one line, when the database fails, again when it
    fails otherwise, and how many rows were lost once it is well again.
    """

    def __init__(self, path: Path, complain: Callable[[str], None]) -> None:
        self._path = path
        self._complain = complain
        self._complained = ""
        self._waiting: list[Row] = []
        self._characters = 0
        self._connection: sqlite3.Connection | None = None
        self._file = (0, 0)
        self._timer: asyncio.TimerHandle | None = None
        self.dropped = 0
        """Rows that were lost because the database could not be written."""
        self._untold = 0

    def add(self, row: Row) -> None:
        """Write *row* within a second."""
        size = row.size
        if len(self._waiting) >= MOST_WAITING or self._characters + size > MOST_CHARACTERS:
            self.dropped += 1
            self._untold += 1
            return
        self._waiting.append(row)
        self._characters += size
        if len(self._waiting) >= MANY and not self._complained:
            self.write()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(WRITE_EVERY, self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        self.write()
        if self._waiting:
            self._timer = asyncio.get_running_loop().call_later(WRITE_EVERY, self._on_time)

    def write(self) -> None:
        """Write what waits, now."""
        if not self._waiting:
            return
        try:
            with self._open() as connection:
                connection.executemany(_INSERT, self._waiting)
        except (sqlite3.Error, OSError) as error:
            self._fail(f"DMARC history {self._path} cannot be written: {error}{self._hint()}")
            return
        self._waiting.clear()
        self._characters = 0
        self._complained = ""
        if self._untold:
            lost, self._untold = self._untold, 0
            self._complain(f"DMARC history {self._path} is written again; rows lost: {lost}")

    def close(self) -> None:
        """Write what waits, and let go of the file."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.write()
        self._let_go()

    def _open(self) -> sqlite3.Connection:
        """The connection to the file that is there now: SQLite would go on writing to a removed one."""
        if self._connection is not None and self._identity() == self._file:
            return self._connection
        self._let_go()
        with suppress(OSError):  # SQLite says what is wrong, in the words that are documented
            # For user and group alone: it says who writes to us. SQLite would make it for everybody.
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640))
        connection = sqlite3.connect(self._path, timeout=_BUSY)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.executescript(_SCHEMA)
        except sqlite3.Error:
            connection.close()
            raise
        self._file = self._identity()
        self._connection = connection
        return connection

    def _hint(self) -> str:
        """What to do, where it is plain."""
        directory = self._path.parent
        if not directory.is_dir():
            return f": make the directory {directory}, and give it to the daemon's user"
        if not os.access(directory, os.W_OK):
            return f": let the daemon's user write to {directory}"
        return ""

    def _identity(self) -> tuple[int, int]:
        """Which file stands at the path; (0, 0) for none."""
        try:
            status = os.stat(self._path)
        except FileNotFoundError:
            return (0, 0)
        return (status.st_dev, status.st_ino)

    def _let_go(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _fail(self, text: str) -> None:
        self._let_go()
        if text != self._complained:
            self._complained = text
            self._complain(text)
