"""What the administrator asks of a greylist in an SQLite file: to show, allow, forget and count.

Each question has a connection of its own, in a thread of its own: a question
may take long, and the daemon that shares the file goes on meanwhile.
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TypeVar

from policy.greylisting.decision import OriginRecord, Rules, TripletRecord
from policy.greylisting.key import Triplet
from policy.greylisting.sqlite_file import open_file
from policy.greylisting.store import Entry, EntryPage, Origin, OriginPage, Search, Stats, StoreError

Answer = TypeVar("Answer")

_AT_ONCE: Final = 500
"""Rows that are removed in one transaction."""
_BETWEEN: Final = 0.005
"""Seconds between two transactions, in which others get their turn."""


class SqliteQueries:
    """Questions to the file at *path*. They make no file where there is none."""

    def __init__(self, path: Path, rules: Rules) -> None:
        self.path = path
        self.rules = rules

    async def size(self) -> int:
        """How many rows there are."""
        return await self._ask(
            lambda connection: sum(
                connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
                for table in ("triplet", "origin")
            )
        )

    async def entries(self, search: Search, limit: int, after: str = "") -> EntryPage:
        """A page of entries, in the order of their keys."""
        where, values = _where(search)
        if after:
            where += " AND (origin, sender, recipient) > (?, ?, ?)"
            values += _position(after, 3)
        statement = (
            "SELECT origin, sender, recipient, first, last, passed FROM triplet"
            f" WHERE {where} ORDER BY origin, sender, recipient LIMIT ?"
        )
        rows = await self._ask(lambda c: c.execute(statement, (*values, limit + 1)).fetchall())
        found = [
            Entry(Triplet(row[0], row[1], row[2]), TripletRecord(row[3], row[4], bool(row[5])))
            for row in rows[:limit]
        ]
        return EntryPage(found, json.dumps(found[-1].triplet) if len(rows) > limit else "")

    async def origins(self, search: Search, limit: int, after: str = "") -> OriginPage:
        """A page of origins, in the order of their names."""
        where, values = _where_origin(search)
        if after:
            where += " AND name > ?"
            values += _position(after, 1)
        statement = (
            f"SELECT name, deliveries, counted, last, pinned FROM origin WHERE {where} ORDER BY name LIMIT ?"
        )
        rows = await self._ask(lambda c: c.execute(statement, (*values, limit + 1)).fetchall())
        found = [Origin(row[0], OriginRecord(row[1], row[2], row[3], bool(row[4]))) for row in rows[:limit]]
        return OriginPage(found, json.dumps([found[-1].name]) if len(rows) > limit else "")

    async def pin(self, origin: str, now: float) -> None:
        """Allow *origin* from now on."""
        record = OriginRecord(0, now, now, pinned=True)
        await self._ask(
            lambda connection: connection.execute(
                "INSERT INTO origin VALUES (?, ?, ?, ?, ?, ?)"
                " ON CONFLICT DO UPDATE SET pinned = 1, expires = excluded.expires",
                (origin, *record, record.expires(self.rules)),
            )
        )

    async def forget(self, search: Search) -> tuple[int, int]:
        """Forget entries and origins, some at a time."""
        where, values = _where(search)
        triplets = (
            "DELETE FROM triplet WHERE (origin, sender, recipient) IN"
            f" (SELECT origin, sender, recipient FROM triplet WHERE {where} LIMIT {_AT_ONCE})"
        )
        removed = await self._ask(lambda connection: _remove(connection, triplets, values))
        if not search.all_addresses:
            return removed, 0
        where, values = _where_origin(search)
        origins = f"DELETE FROM origin WHERE name IN (SELECT name FROM origin WHERE {where} LIMIT {_AT_ONCE})"
        return removed, await self._ask(lambda connection: _remove(connection, origins, values))

    async def stats(self) -> Stats:
        """Count everything."""
        return await self._ask(self._stats)

    def _stats(self, connection: sqlite3.Connection) -> Stats:
        all_triplets, passed = connection.execute(
            "SELECT count(*), ifnull(sum(passed), 0) FROM triplet"
        ).fetchone()
        least = self.rules.auto_allow or 1 << 62
        origins, allowed = connection.execute(
            "SELECT count(*), ifnull(sum(pinned OR deliveries >= ?), 0) FROM origin", (least,)
        ).fetchone()
        octets = sum(
            os.stat(f"{self.path}{suffix}").st_size
            for suffix in ("", "-wal")
            if os.path.exists(f"{self.path}{suffix}")
        )
        return Stats(all_triplets - passed, passed, origins, allowed, octets)

    async def _ask(self, question: Callable[[sqlite3.Connection], Answer]) -> Answer:
        def answer() -> Answer:
            try:
                connection = open_file(self.path, make=False)
                try:
                    return question(connection)
                finally:
                    connection.close()
            except (sqlite3.Error, OSError) as error:
                raise StoreError(f"{self.path}: {error}") from None

        return await asyncio.to_thread(answer)

    async def close(self) -> None:
        """Nothing is open between questions."""


def _remove(connection: sqlite3.Connection, statement: str, values: Sequence[object]) -> int:
    removed = 0
    while True:
        rows = connection.execute(statement, values).rowcount
        removed += rows
        if rows < _AT_ONCE:
            return removed
        time.sleep(_BETWEEN)


def _where(search: Search) -> tuple[str, tuple[object, ...]]:
    origins, values = _any_of("origin", search.origins)
    return (
        f"{origins} AND sender LIKE ? ESCAPE '\\' AND recipient LIKE ? ESCAPE '\\'",
        (*values, _like(search.sender), _like(search.recipient)),
    )


def _where_origin(search: Search) -> tuple[str, tuple[object, ...]]:
    return _any_of("name", search.origins)


def _any_of(column: str, names: Sequence[str]) -> tuple[str, tuple[object, ...]]:
    if not names:
        return "1", ()
    return f"{column} IN ({', '.join('?' * len(names))})", tuple(names)


def _like(pattern: str) -> str:
    """*pattern* with ``*``, for LIKE."""
    for sign in "\\%_":
        pattern = pattern.replace(sign, f"\\{sign}")
    return pattern.replace("*", "%")


def _position(after: str, length: int) -> tuple[object, ...]:
    """Where a page begins. Raises StoreError for text that no page has given."""
    try:
        position = json.loads(after)
    except ValueError:
        position = None
    if not isinstance(position, list) or [type(part) for part in position] != [str] * length:
        raise StoreError("there is no page that begins there")
    return tuple(position)
