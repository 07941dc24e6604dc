"""The smaller parts: notification, activation, identity, watching, back-off, the scratch directory."""

from __future__ import annotations

import fcntl
import os
import select
import selectors
import signal
import socket
import stat
import tempfile
from pathlib import Path
from typing import cast

import pytest

from gatepost.log import Logger
from gatepost.service import channel, privileges, scratch
from gatepost.service.activation import inherited_sockets
from gatepost.service.channel import Usage
from gatepost.service.daemon import ServiceError
from gatepost.service.fleet import Fleet, Timing
from gatepost.service.notify import Notifier
from gatepost.service.status import Tally
from gatepost.service.wakeup import Wakeup
from gatepost.service.watch import Watch
from gatepost.service.workers import Generation, WorkerProcess, cause, lowest_free
from tests.unit.service.support import wait_for


@pytest.mark.parametrize(
    ("environment", "watchdog"),
    [
        ({}, 0),
        ({"WATCHDOG_USEC": "30000000"}, 0),  # nobody to tell
        ({"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "30000000"}, 30),
        ({"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, 0),
        ({"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "soon"}, 0),
    ],
)
def test_watchdog(environment: dict[str, str], watchdog: float) -> None:
    notifier = Notifier(environment)
    assert notifier.watchdog == watchdog
    notifier.ready("nobody hears it, and that is fine")
    notifier.close()


def test_abstract_notify_socket() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind("\0gatepost-test-" + str(os.getpid()))
        receiver.settimeout(5)
        notifier = Notifier({"NOTIFY_SOCKET": "@gatepost-test-" + str(os.getpid())})
        notifier.ready("fine")
        assert receiver.recv(100) == b"READY=1\nSTATUS=fine"
        notifier.close()


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"LISTEN_FDS": "1"},
        {"LISTEN_PID": "1", "LISTEN_FDS": "1"},
        {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "-1"},
    ],
)
def test_sockets_meant_for_another(environment: dict[str, str]) -> None:
    assert inherited_sockets(environment) == []
    assert "LISTEN_FDS" not in environment


@pytest.mark.parametrize(("names", "expected"), [("", "unknown"), ("a", "a"), ("a:b", "a")])
def test_inherited(names: str, expected: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        descriptor = os.dup(listening.fileno())
        environment = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", "LISTEN_FDNAMES": names}
        (entry,) = inherited_sockets(environment, descriptor)
        assert (entry.name, entry.address) == (expected, f"inet:127.0.0.1:{listening.getsockname()[1]}")
        assert not entry.socket.get_inheritable()
        entry.socket.close()


def test_no_socket_at_all(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w") as file:
        environment = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
        with pytest.raises(ServiceError, match="no socket"):
            inherited_sockets(environment, file.fileno())


@pytest.mark.parametrize(
    ("user", "group", "says"),
    [
        ("nosuchuser", None, "there is no user nosuchuser"),
        ("root", "nosuchgroup", "there is no group nosuchgroup"),
        (None, "root", "needs a `user:`"),
    ],
)
def test_identity_refused(user: str | None, group: str | None, says: str) -> None:
    with pytest.raises(ServiceError, match=says):
        privileges.identity(user, group)


def test_only_root_becomes_another(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = privileges.identity("nobody", None)
    assert wanted is not None
    monkeypatch.setattr(os, "geteuid", lambda: wanted.uid + 1)
    with pytest.raises(ServiceError, match="cannot become nobody"):
        privileges.check(wanted)
    monkeypatch.setattr(os, "geteuid", lambda: wanted.uid)
    privileges.check(wanted)
    privileges.drop(wanted)  # it is us already


def test_a_way_back_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = privileges.identity("nobody", None)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    for name in ("initgroups", "setresgid", "setresuid", "setuid"):
        monkeypatch.setattr(os, name, lambda *_: None)
    with pytest.raises(ServiceError, match="could become root again"):
        privileges.drop(wanted)


def test_watch_waits_until_it_settles(tmp_path: Path) -> None:
    file, other = tmp_path / "key", tmp_path / "other"
    file.write_text("1")
    watch = Watch([file, other])
    assert watch.changed() == []
    file.write_text("12")
    assert watch.changed() == []  # just changed
    file.write_text("123")
    assert watch.changed() == []  # still being written
    assert watch.changed() == [file]
    assert watch.changed() == []
    file.unlink()
    other.write_text("new")
    assert watch.changed() == []
    assert watch.changed() == [file, other]


def test_watch_forgets_a_change_that_was_undone(tmp_path: Path) -> None:
    file = tmp_path / "key"
    watch = Watch([file])
    file.write_text("1")
    assert watch.changed() == []
    file.unlink()
    assert [watch.changed(), watch.changed()] == [[], []]


class Silent:
    """An owner that is told of nothing."""

    def serves(self, generation: Generation) -> None:
        raise AssertionError

    def died(self, generation: Generation, worker: WorkerProcess, status: int) -> None:
        raise AssertionError

    def drained(self, generation: Generation) -> None:
        raise AssertionError


def test_an_event_for_a_worker_that_was_just_buried(tmp_path: Path) -> None:
    # One turn of the loop can bring both a death and a last word, in either order.
    ours, theirs = channel.pair()
    with selectors.DefaultSelector() as selector, theirs, ours:
        fleet = Fleet(Silent(), selector, tmp_path, Timing(), Tally(), Logger(), lambda _: ())
        worker = WorkerProcess(1, 0, ours, 0, 0)
        selector.register(ours, selectors.EVENT_READ)
        ours.close()
        fleet.hear(cast(Generation, None), worker)


@pytest.mark.parametrize(("taken", "expected"), [([], 0), ([0, 1], 2), ([1, 2], 0), ([0, 2], 1)])
def test_slots(taken: list[int], expected: int) -> None:
    assert lowest_free(taken) == expected


@pytest.mark.parametrize(
    ("status", "expected"), [(0, {"status": 0}), (256, {"status": 1}), (9, {"signal": "SIGKILL"})]
)
def test_cause(status: int, expected: dict[str, object]) -> None:
    assert cause(status) == expected


def test_heartbeat_travels() -> None:
    usage = Usage(12, 34_000_000_000, 5.5)
    assert channel.read_heartbeat(channel.heartbeat(usage)) == usage
    assert channel.read_heartbeat(channel.READY) is None
    ours, theirs = channel.pair()
    assert channel.receive(ours) is None
    assert channel.send(theirs, channel.READY)
    theirs.close()
    assert channel.receive(ours) == channel.READY
    assert channel.receive(ours) == b""
    assert not channel.send(ours, channel.DRAIN)
    ours.close()


def test_own_usage() -> None:
    before = channel.own_usage()
    with open(os.devnull):
        assert channel.own_usage().descriptors == before.descriptors + 1
    assert before.resident > 1_000_000


@pytest.mark.parametrize("runtime", [True, False])
def test_scratch_directory_under_any_umask(
    tmp_path: Path, runtime: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = os.umask(0o177)
    try:
        with scratch.directory("x", {"RUNTIME_DIRECTORY": str(tmp_path)} if runtime else {}, None) as made:
            assert stat.S_IMODE(made.stat().st_mode) == 0o700
    finally:
        os.umask(before)
    assert not made.exists()


def test_scratch_directory(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").touch()
    runtime = tmp_path / "run"
    (runtime / "metrics-x").mkdir(parents=True)
    (runtime / "metrics-x" / "link").symlink_to(elsewhere)
    with scratch.directory("x", {"RUNTIME_DIRECTORY": f"{runtime}:/other"}, None) as made:
        assert made == runtime / "metrics-x"
        assert list(made.iterdir()) == []
        assert made.stat().st_mode & 0o777 == 0o700
    assert (elsewhere / "precious").exists()
    missing = {"RUNTIME_DIRECTORY": str(tmp_path / "missing")}
    with pytest.raises(ServiceError, match="cannot make a directory"), scratch.directory("x", missing, None):
        pass


def test_scratch_directories_of_the_dead_are_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name, mode in (("dead", 0o700), ("not-ours", 0o755)):
        (tmp_path / f"gatepost-x-{name}").mkdir()
        (tmp_path / f"gatepost-x-{name}").chmod(mode)
        (tmp_path / f"gatepost-x-{name}" / "counter_0.db").touch()
    (tmp_path / "gatepost-y-another").mkdir(mode=0o700)
    (tmp_path / "gatepost-x-link").symlink_to(elsewhere)
    kept = {"elsewhere", "gatepost-x-not-ours", "gatepost-y-another", "gatepost-x-link"}
    with scratch.directory("x", {}, None) as first, scratch.directory("x", {}, None) as second:
        assert {entry.name for entry in tmp_path.iterdir()} == kept | {first.name, second.name}
    assert {entry.name for entry in tmp_path.iterdir()} == kept


def locked(directory: Path) -> bool:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def test_a_scratch_directory_is_kept_while_a_worker_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    reader, writer = os.pipe()
    supervisor = os.fork()
    if supervisor == 0:
        try:
            with scratch.directory("x", {}, None):
                if os.fork() == 0:  # the worker: it has the lock as well, and lives until the pipe is closed
                    os.close(writer)
                    os.read(reader, 1)
                    os._exit(0)
                os.kill(os.getpid(), signal.SIGKILL)
        finally:
            os._exit(1)
    os.close(reader)
    assert os.waitstatus_to_exitcode(os.waitpid(supervisor, 0)[1]) == -signal.SIGKILL
    [left] = tmp_path.iterdir()

    with scratch.directory("x", {}, None):
        assert left.exists()
        os.close(writer)
        wait_for(lambda: not locked(left))
    assert not left.exists()  # the worker ended in the meantime


def test_no_signal_is_lost_in_a_storm() -> None:
    wakeup = Wakeup([signal.SIGUSR1, signal.SIGUSR2])
    try:
        for _ in range(2000):  # more than there is room for
            signal.raise_signal(signal.SIGUSR1)
        signal.raise_signal(signal.SIGUSR2)
        assert wakeup.arrived() == {signal.SIGUSR1, signal.SIGUSR2}
        assert wakeup.arrived() == set()
        assert not select.select([wakeup.reader], [], [], 0)[0]
    finally:
        wakeup.close()
