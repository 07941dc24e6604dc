"""The SQLite file of a greylist: opened, made, checked, and set aside when it is broken."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from policy.greylisting.store import StoreError

_VERSION = 1
_PATIENCE = 0.25
"""Seconds to wait for others at the opening, when several workers begin at once."""

_LONGEST_LOG = 4096
"""Pages (of 4 kB) of write-ahead log beyond which it has to begin anew, whoever waits for it."""
_LARGEST_LOG = 64 * 1024 * 1024
"""Octets that the log's file keeps for the next time when it begins anew."""
_SHORT_PASS = 0.01
"""Seconds of a checkpoint after which little can be left for the next."""
_MOST_PASSES = 20
_LONGEST_TRY = 0.03
"""Seconds for which a place among others who write is looked for."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS triplet (
    origin TEXT NOT NULL, sender TEXT NOT NULL, recipient TEXT NOT NULL,
    first REAL NOT NULL, last REAL NOT NULL, passed INTEGER NOT NULL, expires REAL NOT NULL,
    PRIMARY KEY (origin, sender, recipient)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS triplet_expires ON triplet (expires);
CREATE TABLE IF NOT EXISTS origin (
    name TEXT NOT NULL PRIMARY KEY,
    deliveries INTEGER NOT NULL, counted REAL NOT NULL, last REAL NOT NULL, pinned INTEGER NOT NULL,
    expires REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS origin_expires ON origin (expires);
"""

_BROKEN = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})

Identity = tuple[int, int]
"""Device and inode: which file a path means."""


def is_busy(error: sqlite3.Error) -> bool:
    """Whether another process has the file at the moment."""
    return _code(error) in _BUSY


def is_broken(error: sqlite3.Error) -> bool:
    """Whether the file is no database, or a damaged one."""
    return _code(error) in _BROKEN


def _code(error: sqlite3.Error) -> int:
    # The rest is an extension of the code (SQLITE_BUSY_SNAPSHOT).
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def identity(path: Path) -> Identity | None:
    """Which file stands at *path* now; None where there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def open_file(path: Path, *, make: bool) -> sqlite3.Connection:
    """Open the file at *path*, with *make* creating file and tables where there are none.

    Raises StoreError, or sqlite3.Error where the file is broken.
    """
    if make:
        with suppress(OSError):
            path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        _create(path)
    elif not path.exists():
        raise StoreError(f"{path}: there is no such file; the daemon makes it when it starts")
    try:
        return _prepared(path, make)
    except sqlite3.Error as error:
        if is_broken(error):
            raise
        raise StoreError(f"{path}: {error}") from None


def _create(path: Path) -> None:
    """Make an empty file that only user and group can read: it says who writes to whom. Raises StoreError."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640))
    except OSError as error:
        # One that can only be read is for SQLite to complain about.
        if not path.exists():
            text = f"{path}: cannot make the file: {error.strerror}: let the daemon's user write to {path.parent}"
            raise StoreError(text) from None


def _prepared(path: Path, make: bool) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None)
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > _VERSION:
            raise StoreError(f"{path}: written by a newer gatepost (version {version} of the format)")
        if make:
            _switch_to_wal(connection)
            if version < _VERSION:
                connection.executescript(
                    f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version={_VERSION}; COMMIT;"
                )
            # Looks at the tables, so that damage to their roots shows now.
            connection.execute("SELECT * FROM triplet LIMIT 1").fetchall()
            connection.execute("SELECT * FROM origin LIMIT 1").fetchall()
        # Without a sync at each commit: a killed process loses nothing, a power failure the last moments.
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute(f"PRAGMA journal_size_limit={_LARGEST_LOG}")
    except BaseException:
        connection.close()
        raise
    return connection


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    """Switch to write-ahead logging; needs the file alone, and does not wait for that by itself."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if not is_busy(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def carry_over(path: Path) -> bool:
    """Carry the write-ahead log over into the file; who writes goes on meanwhile. To be run in a thread.

    Gives whether the log has grown so long that it ought to begin anew.
    """
    try:
        with closing(_connected(path)) as connection:
            for _ in range(_MOST_PASSES):
                started = time.monotonic()
                _, pages, _ = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
                if time.monotonic() - started < _SHORT_PASS:
                    break
        return bool(pages > _LONGEST_LOG)
    except sqlite3.Error:
        # Whoever writes next meets the same, and tells.
        return False


def begin_log_anew(path: Path) -> None:
    """Carry the rest over and let the log begin anew; nobody can write meanwhile. To be run in a thread.

    Where others write too, it may not come to its turn: then the log grows on
    until the next time.
    """
    deadline = time.monotonic() + _LONGEST_TRY
    with suppress(sqlite3.Error), closing(_connected(path)) as connection:
        # SQLite's own way to wait gives the log time to grow, and ours is to be short.
        connection.execute("PRAGMA busy_timeout=0")
        while connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()[0]:
            if time.monotonic() > deadline:
                return


def _connected(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{path}?mode=rw", uri=True, timeout=_PATIENCE, isolation_level=None)


def set_aside(path: Path, broken: Identity | None) -> Path | None:
    """Give the file, if it still is *broken*, a name with the date; gives the name.

    None where somebody else has done so already. Raises OSError.
    """
    with _alone(path.parent):
        if broken is None or identity(path) != broken:
            return None
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        name, number = f"{path.name}.broken-{stamp}", 0
        target = path.with_name(name)
        while target.exists():
            number += 1
            target = path.with_name(f"{name}-{number}")
        os.rename(path, target)
        # The log belongs to the file: beside a new one it would do damage.
        for suffix in ("-wal", "-shm"):
            with suppress(FileNotFoundError):
                os.rename(f"{path}{suffix}", f"{target}{suffix}")
        return target


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Hold a lock on *directory* against others who set files aside."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
