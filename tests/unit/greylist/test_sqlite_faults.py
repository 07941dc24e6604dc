"""What an SQLite file can meet: other processes, a full disk, damage, removal, a kill."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import policy.greylisting.sqlite_store as sqlite_store_module
from policy.greylisting import sqlite_file
from policy.greylisting.decision import Decision, Outcome, Rules
from policy.greylisting.desk import Desk
from policy.greylisting.sqlite_store import SqliteStore
from policy.greylisting.store import Question, Search, Store, StoreError
from tests.harness.disk import Disk
from tests.harness.log_file import LogFile
from tests.harness.waiting import PATIENCE, wait_for
from tests.unit.greylist.support import (
    DAY,
    NOW,
    RULES,
    ask,
    counts,
    run,
    sqlite_store,
    triplet,
    until,
)

DEFERRED = Decision(Outcome.DEFERRED, 300)
KNOWN = Decision(Outcome.KNOWN)


async def judge(store: Store, *senders: str, now: float = NOW) -> list[Decision]:
    return await store.judge([Question(triplet(sender)) for sender in senders], now)


async def tend(store: Store, now: float) -> None:
    """Do housekeeping until there is none left."""
    while await store.tend(now) < 0.5:
        pass


def test_no_other_user_can_read_it(tmp_path: Path) -> None:
    """Whatever the umask: it says who writes to whom."""

    async def use(store: Store) -> list[str]:
        await judge(store, "a")
        return [f"{each.name} {each.stat().st_mode & 0o777:o}" for each in os.scandir(tmp_path)]

    before = os.umask(0)
    try:
        modes = run(use, sqlite_store(tmp_path))
    finally:
        os.umask(before)
    assert sorted(modes) == [f"greylist.sqlite{suffix} 640" for suffix in ("", "-shm", "-wal")]


@pytest.mark.parametrize(
    "content", [b"this is no database at all" * 100, b"SQLite format 3\0" + b"\xff" * 5000]
)
def test_a_file_that_is_no_database_is_set_aside(tmp_path: Path, log: LogFile, content: bytes) -> None:
    path = tmp_path / "greylist.sqlite"
    path.write_bytes(content)

    async def use(store: Store) -> None:
        assert await judge(store, "a") == [DEFERRED]
        assert await judge(store, "a", now=NOW + 300) == [Decision(Outcome.DELAYED, 300)]

    run(use, sqlite_store(tmp_path, log=log.log))
    (kept,) = tmp_path.glob("greylist.sqlite.broken-*")
    assert kept.read_bytes() == content
    assert [message for message in log.messages if "set aside" in message] == [
        "the greylist's file was broken: it is set aside, and a new one begun"
    ]


def test_a_file_that_is_damaged_while_in_use_is_set_aside(tmp_path: Path, log: LogFile) -> None:
    path = tmp_path / "greylist.sqlite"

    async def use(store: Store) -> None:
        for n in range(50):
            await judge(store, *(f"s{n}.{m}@example.org" for m in range(20)))
        await store.close()
        with path.open("r+b") as file:
            file.seek(8192)
            file.write(os.urandom(path.stat().st_size - 8192))
        failed = 0
        for n in range(50):
            try:
                await judge(store, *(f"s{n}.{m}@example.org" for m in range(20)))
            except StoreError:
                failed += 1
        assert failed <= 1

    run(use, sqlite_store(tmp_path, log=log.log))
    assert len(list(tmp_path.glob("*.broken-*"))) == 1


def test_two_workers_set_a_broken_file_aside_once(tmp_path: Path, log: LogFile) -> None:
    path = tmp_path / "greylist.sqlite"
    path.write_bytes(b"no database" * 1000)
    stores = [sqlite_store(tmp_path, log=log.log) for _ in range(3)]

    async def scene() -> None:
        await asyncio.gather(*(judge(store, "a") for store in stores))
        assert await judge(stores[0], "a", now=NOW + 300) == [Decision(Outcome.DELAYED, 300)]
        assert await judge(stores[2], "a", now=NOW + 301) == [KNOWN]
        for store in stores:
            await store.close()

    asyncio.run(scene())
    assert len(list(tmp_path.glob("greylist.sqlite.broken-*"))) == 1


def test_a_file_that_was_deleted_is_made_again(tmp_path: Path, log: LogFile) -> None:
    def remove() -> None:
        for path in tmp_path.glob("greylist.sqlite*"):
            path.unlink()

    async def use(store: Store) -> None:
        await judge(store, "a")
        remove()
        await store.tend(NOW)
        assert await judge(store, "a") == [DEFERRED]
        other = sqlite_store(tmp_path)
        assert await judge(other, "a", now=NOW + 300) == [Decision(Outcome.DELAYED, 300)]
        await other.close()

    run(use, sqlite_store(tmp_path, log=log.log))
    assert log.messages == ["the greylist's file is gone: it begins anew"]


def test_the_directory_is_made_if_it_can_be(tmp_path: Path) -> None:
    run(lambda store: judge(store, "a"), sqlite_store(tmp_path / "new" / "place"))
    path = tmp_path / "new" / "place" / "greylist.sqlite"
    assert path.stat().st_mode & 0o007 == 0


def test_a_path_that_cannot_be_is_said_plainly(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = sqlite_store(tmp_path / "file")

    async def use(store: Store) -> None:
        with pytest.raises(StoreError, match="Not a directory"):
            await judge(store, "a")

    run(use, store)


def test_a_file_of_a_later_version_is_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "greylist.sqlite") as connection:
        connection.execute("PRAGMA user_version=99")
    connection.close()

    async def use(store: Store) -> None:
        with pytest.raises(StoreError, match="newer gatepost"):
            await judge(store, "a")

    run(use, sqlite_store(tmp_path))
    assert not list(tmp_path.glob("*.broken-*"))


def test_another_process_that_has_the_file_does_not_hold_up_the_loop(tmp_path: Path, log: LogFile) -> None:
    async def scene() -> None:
        store = sqlite_store(tmp_path)
        desk = Desk(store, timeout=PATIENCE, log=log.log, counts=counts(), clock=lambda: NOW)
        assert await ask(desk, triplet()) == [DEFERRED]
        other = sqlite3.connect(tmp_path / "greylist.sqlite", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        pending = asyncio.create_task(ask(desk, triplet()))
        # Where the loop had to wait, it would come round no more before the file is free: only we free it.
        for _ in range(100):
            await asyncio.sleep(0.001)
        assert not pending.done()
        other.execute("COMMIT")
        assert await pending == [DEFERRED]
        other.close()
        await desk.close()

    asyncio.run(scene())


def test_another_process_that_keeps_the_file_is_not_waited_for(tmp_path: Path, log: LogFile) -> None:
    async def scene() -> None:
        store = sqlite_store(tmp_path)
        desk = Desk(store, timeout=0.2, log=log.log, counts=counts(), clock=lambda: NOW, retry_after=0.0)

        async def works() -> bool:
            return await ask(desk, triplet()) == [DEFERRED]

        await until(works, "the file")
        other = sqlite3.connect(tmp_path / "greylist.sqlite", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        assert await ask(desk, triplet()) == [None]
        other.execute("COMMIT")
        other.close()
        await until(works, "the file again")
        await desk.close()

    asyncio.run(scene())


def test_a_file_that_can_only_be_read(tmp_path: Path, log: LogFile) -> None:
    """As on a file system that was remounted read-only: mail passes, and the file is kept."""
    path = tmp_path / "greylist.sqlite"
    run(lambda store: judge(store, "a"), sqlite_store(tmp_path))

    async def use(store: Store) -> None:
        with pytest.raises(StoreError):
            await judge(store, "b")

    class ReadOnly(SqliteStore):
        def _open(self) -> sqlite3.Connection:
            connection = super()._open()
            connection.execute("PRAGMA query_only=1")
            return connection

    run(use, ReadOnly(path, RULES, log.log))
    assert not list(tmp_path.glob("*.broken-*"))
    run(use_again, sqlite_store(tmp_path))


async def use_again(store: Store) -> None:
    assert await judge(store, "a", now=NOW + 300) == [Decision(Outcome.DELAYED, 300)]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with Disk(tmp_path / "disk") as disk:
        yield disk


def test_a_full_disk(disk: Disk, log: LogFile) -> None:
    """Mail passes while the disk is full; nothing promised is lost, and all goes on once there is room."""

    async def scene() -> None:
        now = NOW
        store = sqlite_store(disk.place, log=log.log)
        desk = Desk(store, timeout=PATIENCE, log=log.log, counts=counts(), clock=lambda: now, retry_after=0.0)
        promised = [triplet(f"s{n}@example.org", origin=f"10.0.{n}.0/24") for n in range(200)]
        assert await ask(desk, *promised) == [DEFERRED] * 200
        disk.fill()
        refused = 0
        for n in range(400):
            refused += await ask(desk, triplet(f"{'x' * 200}{n}@example.org")) == [None]
        assert refused > 100
        disk.make_room()
        now = NOW + 300
        # The first one finds out that there is room again.
        assert await ask(desk, promised[0]) == [Decision(Outcome.DELAYED, 300)]
        assert await ask(desk, *promised[1:]) == [Decision(Outcome.DELAYED, 300)] * 199
        await desk.close()

    asyncio.run(scene())
    assert log.messages[0] == "the greylist's store does not work: mail passes meanwhile"
    assert log.messages[-1] == "the greylist's store works again"
    assert not list(disk.place.glob("*.broken-*"))


def test_what_has_expired_goes_in_small_steps(tmp_path: Path) -> None:
    async def use(store: SqliteStore) -> None:
        for n in range(60):
            await judge(store, *(f"{n}.{m}@example.org" for m in range(50)))
        await judge(store, "0.0@example.org", now=NOW + 300)
        await judge(store, "late@example.org", now=NOW + 1.9 * DAY)
        steps, before = 0, 3001
        while await store.tend(NOW + 3 * DAY) < 0.5:
            left = (await store.stats()).waiting
            assert before - left <= 1000
            before, steps = left, steps + 1
        assert steps >= 4
        entries = (await store.entries(Search(), 10)).entries
        assert {entry.triplet.sender for entry in entries} == {"0.0@example.org", "late@example.org"}
        await tend(store, NOW + 60 * DAY)
        stats = await store.stats()
        assert (stats.waiting, stats.passed, stats.origins) == (0, 0, 0)

    async def scene() -> None:
        store = sqlite_store(tmp_path)
        await use(store)
        await store.close()

    asyncio.run(scene())


def test_pinned_origins_do_not_expire(tmp_path: Path) -> None:
    async def use(store: Store) -> None:
        await judge(store, "a")
        await store.pin("spf:example.org", NOW)
        await tend(store, NOW + 10_000 * DAY)
        stats = await store.stats()
        assert (stats.waiting, stats.origins, stats.allowed) == (0, 1, 1)

    run(use, sqlite_store(tmp_path))


def test_the_log_is_carried_over_while_mail_comes_in(
    tmp_path: Path, log: LogFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The write-ahead log begins anew now and then, and no request fails by it."""
    monkeypatch.setattr(sqlite_store_module, "_CHECKPOINT_AFTER", 100)
    monkeypatch.setattr(sqlite_store_module, "_BETWEEN_LOOKS", 0.01)
    monkeypatch.setattr(sqlite_file, "_LONGEST_LOG", 50)

    async def scene() -> None:
        desk = Desk(sqlite_store(tmp_path), timeout=PATIENCE, log=log.log, counts=counts(), clock=lambda: NOW)
        number = 0

        async def large() -> bool:
            nonlocal number
            for _ in range(50):
                number += 1
                assert await ask(desk, triplet(f"s{number}@example.org")) == [DEFERRED]
            return size_of("greylist.sqlite") > 700_000

        await until(large, "a large file")
        # A request that is new writes two pages at least.
        assert size_of("greylist.sqlite-wal") < number * 4096
        await desk.close()

    def size_of(name: str) -> int:
        return (tmp_path / name).stat().st_size

    asyncio.run(scene())


WORKER = """
import asyncio, sys, time
from pathlib import Path
from gatepost.log import Logger
from policy.greylisting.decision import Rules
from policy.greylisting.key import Triplet
from policy.greylisting.sqlite_store import SqliteStore
from policy.greylisting.store import Question
from tests.unit.greylist.support import RULES, counts
from policy.greylisting.desk import Desk

async def load(path, name):
    desk = Desk(SqliteStore(path, RULES, Logger(level="error")), timeout=60, log=Logger(), counts=counts())

    async def client(c):
        n = 0
        while True:
            n += 1
            sender = f"{name}.{c}.{n}@example.org"
            decision = await desk.judge(Question(Triplet("192.0.2.0/24", sender, "bob@example.net")))
            if decision is None:
                print("NONE", flush=True)
            print(sender, flush=True)

    await asyncio.gather(*(client(c) for c in range(8)))

asyncio.run(load(Path(sys.argv[1]), sys.argv[2]))
"""


def test_nothing_promised_is_forgotten_after_a_kill(tmp_path: Path) -> None:
    """Three times two workers are killed in the middle of their work; all that they answered is still known."""
    path = tmp_path / "greylist.sqlite"
    promised: list[str] = []
    for turn in range(3):
        outputs = [tmp_path / f"output-{turn}-{n}" for n in range(2)]
        workers = []
        for n, output in enumerate(outputs):
            with output.open("wb") as file:
                command = [sys.executable, "-c", WORKER, str(path), f"{turn}.{n}"]
                workers.append(subprocess.Popen(command, stdout=file, stderr=subprocess.DEVNULL))
        wait_for(lambda: all(output.stat().st_size > 20_000 for output in outputs), "some load")  # noqa: B023
        for worker in workers:
            worker.send_signal(signal.SIGKILL)
            worker.wait()
        for output in outputs:
            # The last line may have been cut by the kill.
            promised += output.read_text().rpartition("\n")[0].splitlines()
    assert len(promised) > 3000
    assert "NONE" not in promised

    async def use(store: Store) -> None:
        now = time.time() + 300
        for start in range(0, len(promised), 64):
            decisions = await judge(store, *promised[start : start + 64], now=now)
            assert {decision.outcome for decision in decisions} == {Outcome.DELAYED}

    # Without the rule that lets a network pass after some deliveries.
    run(use, sqlite_store(tmp_path, Rules(300, 2 * DAY, 35 * DAY, 0, 0)))
    assert not list(tmp_path.glob("*.broken-*"))
