"""The greylist in an SQLite file, which all workers of a host share."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from random import random
from typing import Final, NoReturn

from gatepost.log import Logger
from policy.greylisting.decision import Decision, OriginRecord, Rules, TripletRecord, judge
from policy.greylisting.sqlite_file import (
    Identity,
    begin_log_anew,
    carry_over,
    identity,
    is_broken,
    is_busy,
    open_file,
    set_aside,
)
from policy.greylisting.sqlite_query import SqliteQueries
from policy.greylisting.store import Question, StoreError

_TRIPLET: Final = "SELECT first, last, passed FROM triplet WHERE origin = ? AND sender = ? AND recipient = ?"
_ORIGIN: Final = "SELECT deliveries, counted, last, pinned FROM origin WHERE name = ?"
_PUT_TRIPLET: Final = "INSERT OR REPLACE INTO triplet VALUES (?, ?, ?, ?, ?, ?, ?)"
_PUT_ORIGIN: Final = "INSERT OR REPLACE INTO origin VALUES (?, ?, ?, ?, ?, ?)"
_EXPIRE: Final = (
    "DELETE FROM triplet WHERE (origin, sender, recipient) IN"
    " (SELECT origin, sender, recipient FROM triplet WHERE expires < ? ORDER BY expires LIMIT ?)",
    "DELETE FROM origin WHERE name IN (SELECT name FROM origin WHERE expires < ? ORDER BY expires LIMIT ?)",
)

_SLICE_SECONDS: Final = 0.003
"""How long one step of expiry should take at most."""
_SLICE_ROWS: Final = (8, 1000)
"""The fewest and most rows of one step."""
_BETWEEN_SLICES: Final = 0.01
_BETWEEN_LOOKS: Final = 1.0

_SHORT_TRIES: Final = 4
_SHORT_WAIT: Final = 0.00005
"""Seconds to the next try while another process has the file: its transaction takes a tenth of a millisecond.

The event loop's shortest wait is ten times that, and whoever holds it up has nothing to do meanwhile but wait.
"""

_CHECKPOINT_AFTER: Final = 2000
"""Changed rows after which the write-ahead log is carried over."""


class SqliteStore(SqliteQueries):
    """A store in the file at *path*, which is made on first use.

    Transactions run on the event loop: each takes a fraction of a millisecond
    and waits for no disk. What waits for the disk (carrying the log over)
    happens in a thread. Another process that has the file for longer than a
    transaction takes is waited for without holding up the loop.
    """

    def __init__(self, path: Path, rules: Rules, log: Logger) -> None:
        super().__init__(path, rules)
        self._log = log
        self._connection: sqlite3.Connection | None = None
        self._identity: Identity | None = None
        self._turn = asyncio.Lock()
        self._carried_over = 0
        self._slice = 64

    async def judge(self, questions: Sequence[Question], now: float) -> list[Decision]:
        """Decide all in one transaction."""
        async with self._turn:
            connection = self._opened()
            await self._begin(connection)
            try:
                decisions = [self._judge(connection, question, now) for question in questions]
                connection.execute("COMMIT")
            except sqlite3.Error as error:
                self._failed(connection, error)
        return decisions

    def _judge(self, connection: sqlite3.Connection, question: Question, now: float) -> Decision:
        key = question.triplet
        row = connection.execute(_ORIGIN, (key.origin,)).fetchone()
        origin = OriginRecord(row[0], row[1], row[2], bool(row[3])) if row else None
        row = connection.execute(_TRIPLET, key).fetchone()
        triplet = TripletRecord(row[0], row[1], bool(row[2])) if row else None
        decision, new_triplet, new_origin = judge(triplet, origin, now, self.rules, question.counts)
        if new_triplet is not None:
            connection.execute(_PUT_TRIPLET, (*key, *new_triplet, new_triplet.expires(self.rules)))
        if new_origin is not None:
            connection.execute(_PUT_ORIGIN, (key.origin, *new_origin, new_origin.expires(self.rules)))
        return decision

    async def tend(self, now: float) -> float:
        """Remove a few expired rows, and look after the file."""
        connection = self._opened()
        if connection.total_changes - self._carried_over >= _CHECKPOINT_AFTER:
            self._carried_over = connection.total_changes
            if await asyncio.to_thread(carry_over, self.path):
                # Nearly all is carried over: this takes a moment, if no transaction comes between.
                async with self._turn:
                    await asyncio.to_thread(begin_log_anew, self.path)
            return _BETWEEN_SLICES
        if identity(self.path) != self._identity:
            self._close()
            self._log.event("error", "the greylist's file is gone: it begins anew", file=str(self.path))
            self._opened()
            return _BETWEEN_LOOKS
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            if is_busy(error):
                return _BETWEEN_SLICES * (1 + random())
            self._failed(connection, error)
        started = time.perf_counter()
        try:
            removed = sum(connection.execute(statement, (now, self._slice)).rowcount for statement in _EXPIRE)
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._failed(connection, error)
        if not removed:
            return _BETWEEN_LOOKS
        full = removed >= self._slice
        self._adapt(time.perf_counter() - started)
        return _BETWEEN_SLICES if full else _BETWEEN_LOOKS

    def _adapt(self, seconds: float) -> None:
        """Choose how many rows the next step of expiry removes, by how long the last one took."""
        least, most = _SLICE_ROWS
        if seconds > _SLICE_SECONDS:
            self._slice = max(least, self._slice // 2)
        elif seconds < _SLICE_SECONDS / 3:
            self._slice = min(most, self._slice * 2)

    async def close(self) -> None:
        """Close the file; the last one to do so carries the log over."""
        self._close()

    # -- the connection

    def _opened(self) -> sqlite3.Connection:
        """The connection, opened if need be; a broken file is set aside. Raises StoreError."""
        if self._connection is not None:
            return self._connection
        try:
            self._connection = self._open()
        except sqlite3.Error as error:
            self._replace(error)
            try:
                self._connection = self._open()
            except sqlite3.Error as again:
                raise StoreError(f"{self.path}: {again}") from None
        return self._connection

    def _open(self) -> sqlite3.Connection:
        self._identity = identity(self.path)
        connection = open_file(self.path, make=True)
        self._identity = identity(self.path)
        # From here on nobody waits inside SQLite, and the log is carried over in a thread.
        connection.execute("PRAGMA busy_timeout=0")
        connection.execute("PRAGMA wal_autocheckpoint=0")
        self._carried_over = 0
        return connection

    async def _begin(self, connection: sqlite3.Connection) -> None:
        for number in count(1):
            try:
                connection.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.Error as error:
                if not is_busy(error):
                    self._failed(connection, error)
            if number < _SHORT_TRIES:
                time.sleep(_SHORT_WAIT)  # noqa: ASYNC251 -- shorter than the loop can wait
            else:
                await asyncio.sleep(0.0005 + 0.002 * random())

    def _failed(self, connection: sqlite3.Connection, error: sqlite3.Error) -> NoReturn:
        """Take back the transaction, and raise StoreError. A broken file is set aside."""
        with suppress(sqlite3.Error):
            connection.rollback()
        # A file that was moved, remounted or replaced only works again when it is opened again.
        self._close()
        if is_broken(error):
            self._replace(error)
        raise StoreError(f"{self.path}: {error}") from None

    def _replace(self, error: sqlite3.Error) -> None:
        """Set the broken file aside. Raises StoreError where that cannot be done."""
        self._close()
        try:
            moved = set_aside(self.path, self._identity)
        except OSError as problem:
            text = f"{self.path}: {error}; cannot set it aside: {problem.strerror}"
            raise StoreError(text) from None
        if moved is not None:
            self._log.event(
                "error",
                "the greylist's file was broken: it is set aside, and a new one begun",
                file=str(self.path),
                kept_as=str(moved),
                error=str(error),
            )

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()
