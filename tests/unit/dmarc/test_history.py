"""The history: what a row holds, that it is there within a second, and what a bad database costs."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gatepost.dmarc import history
from gatepost.dmarc.evaluate import Evaluation, Verdict
from gatepost.dmarc.evidence import Finding
from gatepost.dmarc.history import MANY, MOST_WAITING, WRITE_EVERY, History, Row
from gatepost.dmarc.record import Policy, parse_record
from gatepost.message import Envelope
from tests.harness.waiting import PATIENCE

RECORD = parse_record(
    b"v=DMARC1; p=reject; sp=none; np=quarantine; adkim=s; t=y; fo=1:d; rua=mailto:a@example.org,mailto:b@example.org"
)
ENVELOPE = Envelope("192.0.2.10", "mx.example.org", b"mx.example.org", b"a@example.org", [], {"i": "4ABC"})
EVALUATION = Evaluation(
    Verdict.FAIL,
    "sub.example.org",
    "no aligned identifier",
    Policy.NONE,
    Policy.NONE,
    "example.org",
    RECORD,
)


def row(
    envelope: Envelope = ENVELOPE,
    evaluation: Evaluation = EVALUATION,
    spf: Finding | None = None,
    **more: Any,
) -> Row:
    findings = more.pop("dkim", [])
    options = {"disposition": "none", "override": "", "time": 1_700_000_000.5, **more}
    options.setdefault("client_address", envelope.client_address)
    return Row.of(envelope, evaluation, spf, findings, **options)


ROW = row()


def stored(path: Path) -> list[dict[str, Any]]:
    """What another process reads."""
    connection = sqlite3.connect(path)
    connection.row_factory = sqlite3.Row
    try:
        return [dict(each) for each in connection.execute("SELECT * FROM message ORDER BY id")]
    finally:
        connection.close()


def test_a_row(tmp_path: Path) -> None:
    path = tmp_path / "dmarc.db"
    written = History(path, pytest.fail)
    added = row(
        spf=Finding("softfail", "example.net"),
        dkim=[Finding("pass", "example.net", "s1"), Finding("temperror", "example.org", "s2")],
        disposition="quarantine",
        override="mailing_list",
    )
    asyncio.run(added_to(written, [added]))
    written.close()
    [found] = stored(path)
    assert json.loads(found.pop("record")) == {
        "p": "reject", "sp": "none", "np": "quarantine", "adkim": "s", "aspf": "r", "t": "y", "fo": "1:d",
        "rua": ["mailto:a@example.org", "mailto:b@example.org"],
    }  # fmt: skip
    assert json.loads(found.pop("spf")) == ["softfail", "example.net"]
    assert json.loads(found.pop("dkim")) == [
        ["pass", "example.net", "s1"],
        ["temperror", "example.org", "s2"],
    ]
    assert found == {
        "id": 1, "time": 1_700_000_000.5, "queue_id": "4ABC", "client_address": "192.0.2.10",
        "mail_from": "a@example.org", "author_domain": "sub.example.org", "policy_domain": "example.org",
        "result": "fail", "disposition": "quarantine", "override": "mailing_list",
        "aligned_spf": 0, "aligned_dkim": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("evaluation", "aligned"),
    [
        (EVALUATION._replace(verdict=Verdict.PASS, spf="example.org"), (1, 0)),
        (EVALUATION._replace(verdict=Verdict.PASS, dkim=("example.org",)), (0, 1)),
    ],
)
def test_what_aligned(tmp_path: Path, evaluation: Evaluation, aligned: tuple[int, int]) -> None:
    written = History(tmp_path / "dmarc.db", pytest.fail)
    asyncio.run(added_to(written, [row(evaluation=evaluation)]))
    written.close()
    [found] = stored(tmp_path / "dmarc.db")
    assert (found["aligned_spf"], found["aligned_dkim"], found["result"]) == (*aligned, "pass")


@pytest.mark.parametrize("mail_from", [b"", b"caf\xe9@example.org", "jö@example.org".encode(), b"a\0b@c"])
def test_any_sender_and_whatever_the_mta_says(tmp_path: Path, mail_from: bytes) -> None:
    envelope = Envelope("192.0.2.10\udcff", mail_from=mail_from, macros={"i": "4\udc80"})
    written = History(tmp_path / "dmarc.db", pytest.fail)
    asyncio.run(added_to(written, [row(envelope, dkim=[Finding("pass", "example.org", "s\udc80")])]))
    written.close()
    [found] = stored(tmp_path / "dmarc.db")
    assert found["mail_from"] == mail_from.decode("utf-8", "replace")


def test_no_other_user_can_read_it(tmp_path: Path) -> None:
    """Whatever the umask: it says who writes to whom."""
    written = History(tmp_path / "dmarc.db", pytest.fail)
    before = os.umask(0)
    try:
        asyncio.run(added_to(written, [row()]))
        written.write()
        modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}
    finally:
        os.umask(before)
        written.close()
    assert len(modes) == 3
    assert set(modes.values()) == {0o640}


async def added_to(written: History, rows: list[Row]) -> None:
    for each in rows:
        written.add(each)


def serve(work: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(_run(work), PATIENCE))


async def _run(work: Callable[[], Awaitable[None]]) -> None:
    await work()


async def until(condition: Callable[[], object]) -> None:
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.01)


def count(path: Path) -> int:
    return len(stored(path)) if path.exists() else 0


def test_written_within_a_second(tmp_path: Path) -> None:
    path = tmp_path / "dmarc.db"
    written = History(path, pytest.fail)

    async def work() -> None:
        loop = asyncio.get_running_loop()
        for number in (1, 2):  # the timer starts anew
            begun = loop.time()
            written.add(ROW)
            await until(lambda: not written._waiting)
            assert count(path) == number
            assert loop.time() - begun < WRITE_EVERY + 0.5

    serve(work)
    written.close()


def test_many_rows_do_not_wait_for_the_second(tmp_path: Path) -> None:
    """12,000 messages a second are more than may wait."""
    path = tmp_path / "dmarc.db"
    written = History(path, pytest.fail)

    async def work() -> None:
        for _ in range(MOST_WAITING + 2 * MANY):
            written.add(ROW)

    serve(work)
    assert written.dropped == 0
    written.close()
    assert count(path) == MOST_WAITING + 2 * MANY


_WORKER = """
import asyncio, sys
from pathlib import Path
from gatepost.dmarc.history import History
from tests.unit.dmarc.test_history import ROW

async def main():
    written = History(Path(sys.argv[1]), print)
    for _ in range(100):
        written.add(ROW)
    while written._waiting:
        await asyncio.sleep(0.01)
    print("written", flush=True)
    written.add(ROW)
    await asyncio.sleep(60)

asyncio.run(main())
"""


def test_what_a_killed_worker_had_written_is_there(tmp_path: Path) -> None:
    path = tmp_path / "dmarc.db"
    with subprocess.Popen([sys.executable, "-c", _WORKER, str(path)], stdout=subprocess.PIPE) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"written\n"
        worker.send_signal(signal.SIGKILL)
    assert 100 <= count(path) <= 101
    # … and the next one goes on with it
    written = History(path, pytest.fail)
    asyncio.run(added_to(written, [ROW]))
    written.close()
    assert 101 <= count(path) <= 102


class Faults:
    """A way to hurt a database, and to mend it."""

    def __init__(self, path: Path) -> None:
        self.path = path


class Locked(Faults):
    def begin(self) -> None:
        self.connection = sqlite3.connect(self.path)
        self.connection.execute("BEGIN EXCLUSIVE")

    def end(self) -> None:
        self.connection.close()


class NoDirectory(Faults):
    def begin(self) -> None:
        self.path.parent.rename(self.path.parent.with_name("away"))

    def end(self) -> None:
        self.path.parent.with_name("away").rename(self.path.parent)


class NoDatabase(Faults):
    def begin(self) -> None:
        self.path.rename(self.path.with_name("kept"))
        for end in ("-wal", "-shm"):
            self.path.with_name(self.path.name + end).unlink(missing_ok=True)
        self.path.write_bytes(b"this is no database at all" * 100)

    def end(self) -> None:
        self.path.with_name("kept").rename(self.path)


@pytest.mark.parametrize("kind", [Locked, NoDirectory, NoDatabase])
def test_a_fault_is_told_once_and_nothing_is_lost(
    tmp_path: Path, kind: type[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "WRITE_EVERY", 0.05)
    path = tmp_path / "lib" / "dmarc.db"
    path.parent.mkdir()
    complaints: list[str] = []
    written = History(path, complaints.append)
    # What is there before the fault is there after it.
    asyncio.run(added_to(written, [ROW]))
    written.close()
    fault = kind(path)

    async def work() -> None:
        fault.begin()
        for number in range(10):
            written.add(ROW)
            await asyncio.sleep(0.06)
            assert len(written._waiting) == number + 1
        fault.end()
        await until(lambda: not written._waiting)

    serve(work)
    written.close()
    assert len(complaints) == 1
    assert complaints[0].startswith(f"DMARC history {path} cannot be written: ")
    assert count(path) == 11


def test_a_directory_that_cannot_be_written(tmp_path: Path) -> None:
    complaints: list[str] = []
    written = History(tmp_path / "nowhere" / "dmarc.db", complaints.append)
    asyncio.run(added_to(written, [ROW]))
    for _ in range(3):
        written.write()
    written.close()
    assert complaints == [
        f"DMARC history {tmp_path}/nowhere/dmarc.db cannot be written: unable to open database file: "
        f"make the directory {tmp_path}/nowhere, and give it to the daemon's user"
    ]


@pytest.mark.parametrize("left_over", [(), ("-wal", "-shm")])
def test_a_database_that_is_deleted_is_made_anew(tmp_path: Path, left_over: tuple[str, ...]) -> None:
    path = tmp_path / "dmarc.db"
    written = History(path, pytest.fail)
    asyncio.run(added_to(written, [ROW]))
    written.write()
    for file in tmp_path.iterdir():
        if not left_over or not file.name.endswith(left_over):
            file.unlink()
    asyncio.run(added_to(written, [ROW, ROW]))
    written.write()
    assert count(path) == 2
    written.close()


_ON_A_FULL_DISK = """
import asyncio, resource, signal, sys
from pathlib import Path
from gatepost.dmarc.history import History
from tests.unit.dmarc.test_history import ROW

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
size = int(sys.argv[2])
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

async def main():
    complaints = []
    written = History(Path(sys.argv[1]), complaints.append)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    for _ in range(900):
        written.add(ROW)
    written.write()
    written.write()
    written.write()
    assert len(complaints) == 1, complaints
    assert len(written._waiting) == 900
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    written.write()
    assert not written._waiting
    written.close()

asyncio.run(main())
"""


@pytest.mark.parametrize("size", [0, 40_000, 100_000])
def test_a_full_disk(tmp_path: Path, size: int) -> None:
    path = tmp_path / "dmarc.db"
    done = subprocess.run(
        [sys.executable, "-c", _ON_A_FULL_DISK, str(path), str(size)],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    assert count(path) == 900


def test_memory_is_bounded_and_what_was_lost_is_told(tmp_path: Path) -> None:
    complaints: list[str] = []
    written = History(tmp_path / "lib" / "dmarc.db", complaints.append)

    async def work() -> None:
        for _ in range(MOST_WAITING + 7):
            written.add(ROW)

    serve(work)
    assert (len(written._waiting), written.dropped) == (MOST_WAITING, 7)
    (tmp_path / "lib").mkdir()
    written.write()
    assert complaints[-1] == f"DMARC history {tmp_path}/lib/dmarc.db is written again; rows lost: 7"
    assert len(complaints) == 2
    written.close()


def test_long_rows_are_fewer(tmp_path: Path) -> None:
    complaints: list[str] = []
    written = History(tmp_path / "nowhere" / "dmarc.db", complaints.append)
    long = row(replace(ENVELOPE, mail_from=b"x" * 100_000))

    async def work() -> None:
        for _ in range(1000):
            written.add(long)

    serve(work)
    assert sum(each.size for each in written._waiting) <= history.MOST_CHARACTERS
    assert written.dropped > 800


def test_several_workers_write_to_one_file(tmp_path: Path) -> None:
    path = tmp_path / "dmarc.db"
    complaints: list[str] = []
    workers = [History(path, complaints.append) for _ in range(4)]

    async def work() -> None:
        for _ in range(50):
            for each in workers:
                each.add(ROW)
                each.write()

    serve(work)
    for each in workers:
        each.close()
    assert (count(path), complaints) == (200, [])
