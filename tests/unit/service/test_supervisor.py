"""The whole service, as processes on the loopback."""

from __future__ import annotations

import json
import os
import pwd
import signal
import socket
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.harness.waiting import PATIENCE
from tests.unit.service.support import QUICK, Make, Service, wait_for


def test_serves_and_stops(service: Make) -> None:
    running = service().start()
    assert running.ask("a")[::2] == ["hello", "a"]
    running.kill(signal.SIGTERM)
    assert running.ended() == 0
    assert "stopped" in running.log()
    with pytest.raises(ConnectionRefusedError):
        running.ask()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_drains_what_is_in_flight(service: Make, tmp_path: Path, number: int) -> None:
    running = service().start()
    go = tmp_path / "go"
    with running.connect() as connection:
        assert connection.ask("first")
        connection.send(f"wait {go}")
        wait_for(lambda: running.metric('gatepost_connections{daemon="echo"}') == 1)
        running.kill(number)
        running.wait_log("stopping")
        assert running.alive()
        go.touch()
        assert connection.receive()[2:] == ["wait", str(go)]
    assert running.ended() == 0


def test_second_signal_stops_at_once(service: Make, tmp_path: Path) -> None:
    running = service(options={"drain_timeout": 600}).start()
    with running.connect() as connection:
        connection.ask("first")
        connection.send(f"wait {tmp_path / 'never'}")
        running.kill(signal.SIGTERM)
        running.wait_log("stopping")
        running.kill(signal.SIGTERM)
        assert running.ended() == 0
    assert "told again" in running.log()


def test_cuts_what_takes_too_long(service: Make, tmp_path: Path) -> None:
    running = service(options={"drain_timeout": 0.1}).start()
    with running.connect() as connection:
        connection.ask("first")
        connection.send(f"wait {tmp_path / 'never'}")
        running.kill(signal.SIGTERM)
        assert running.ended() == 0


def test_a_hung_worker_does_not_stop_the_stop(service: Make) -> None:
    running = service(options={"drain_timeout": 0.1, "workers": 1}).start()
    with running.connect() as connection:
        connection.send("hang")
        wait_for(lambda: running.page("/healthz")[0] == 503)
        running.kill(signal.SIGTERM)
        assert running.ended() == 0
    assert "did not stop in time" in running.log()


def test_a_killed_worker_is_replaced(service: Make) -> None:
    running = service(options={"workers": 1}).start()
    first = int(running.ask()[1])
    os.kill(first, signal.SIGKILL)
    running.wait_log("a worker died")
    assert int(running.ask()[1]) != first
    assert "signal=SIGKILL" in running.log()
    assert running.metric('gatepost_worker_restarts_total{daemon="echo"}') == 1


def test_workers_end_when_the_supervisor_is_killed(service: Make) -> None:
    running = service(options={"workers": 1}).start()
    worker = int(running.ask()[1])
    running.kill(signal.SIGKILL)
    running.ended()
    # In a container nobody may reap it, so a zombie counts as gone.
    wait_for(lambda: not Path(f"/proc/{worker}/exe").exists())


def test_dying_at_the_first_start_ends_it(service: Make) -> None:
    running = service(greeting="dies").launch()
    assert running.ended() == 1
    assert "RuntimeError: cannot start" in running.log()


def test_counts_add_up_and_survive_a_restart(service: Make) -> None:
    running = service().start()
    pids = running.both()
    sample = 'gatepost_messages_total{daemon="echo",verdict="accept"}'
    before = running.metric(sample)
    assert before is not None
    assert before >= 2
    with running.connect() as connection:
        os.kill(int(connection.ask("x")[1]), signal.SIGKILL)
        running.wait_log("a worker died")
        wait_for(lambda: running.page("/healthz")[0] == 200)
        assert running.metric(sample) == before + 1
        # The connection died with its worker, and so did the gauge that counted it.
        assert running.metric('gatepost_connections{daemon="echo"}') in (0, None)
    assert running.both() != pids
    assert (running.metric(sample) or 0) >= before + 3


def test_metrics_page(service: Make) -> None:
    running = service().start()
    running.ask()
    status, kind, text = running.page("/metrics")
    assert (status, kind.split(";")[0]) == (200, "text/plain")
    for name in ("gatepost_build_info", "process_open_fds", "process_cpu_seconds_total"):
        assert f"\n{name}" in text
    assert 'gatepost_worker_resident_memory_bytes{daemon="echo",worker="1"}' in text
    status, kind, text = running.page("/metrics", "application/openmetrics-text; version=1.0.0, text/plain")
    assert kind.startswith("application/openmetrics-text; version=1.0.0")
    assert text.endswith("# EOF\n")
    assert running.page("/other")[0] == 404


def test_health_turns_when_a_worker_hangs(service: Make) -> None:
    running = service().start()
    assert running.page("/healthz")[0] == 200
    worker = int(running.ask()[1])
    os.kill(worker, signal.SIGSTOP)
    wait_for(lambda: running.page("/healthz")[0] == 503)
    health = json.loads(running.page("/healthz")[2])
    assert "does not answer" in health["status"]
    os.kill(worker, signal.SIGCONT)
    wait_for(lambda: running.page("/healthz")[0] == 200)


def test_a_hung_worker_is_killed_and_replaced(service: Make) -> None:
    running = service(options={"workers": 1}, timing=replace(QUICK, unhealthy=0.2, hung=0.4)).start()
    with running.connect() as connection:
        connection.send("hang")
        running.wait_log("a worker hangs")
    assert running.ask("again")[2] == "again"


@pytest.mark.parametrize("from_systemd", [True, False])
def test_a_stop_hurries_at_once_where_the_socket_goes_with_us(service: Make, from_systemd: bool) -> None:
    """Where systemd keeps it, new connections wait there, and open ones have a while for their next message."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        running = service(
            greeting="stays",
            options={"workers": 1, "drain_timeout": 600, "socket": f"inet:{port}@127.0.0.1"},
            passed=[listening] if from_systemd else [],
            timing=replace(QUICK, linger=1.0 if from_systemd else PATIENCE),
        )
        if not from_systemd:
            listening.close()
        running.start()
        began = time.monotonic()
        running.kill(signal.SIGTERM)
        assert running.ended() == 0
    took = time.monotonic() - began
    assert took >= 1.0 if from_systemd else took < PATIENCE


def messages(receiver: socket.socket) -> Callable[[str], str]:
    """Waits for a notification that begins so, and gives it."""

    def expect(start: str) -> str:
        while not (text := receiver.recv(4096).decode()).startswith(start):
            pass
        return text

    return expect


@pytest.fixture
def notified(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "notify"))
        receiver.settimeout(10)
        yield receiver


def test_tells_systemd(service: Make, notified: socket.socket, tmp_path: Path) -> None:
    running = service(
        environment={"NOTIFY_SOCKET": str(tmp_path / "notify")}, timing=replace(QUICK, watch=60)
    )
    expect = messages(notified)
    running.launch()
    assert f"STATUS=serving inet:127.0.0.1:{running.port}" in expect("READY=1")
    running.greet("again")
    running.kill(signal.SIGHUP)
    assert "MONOTONIC_USEC=" in expect("RELOADING=1")
    expect("READY=1")
    running.greet("broken")
    running.kill(signal.SIGHUP)
    assert "STATUS=not reloaded" in expect("READY=1")
    running.kill(signal.SIGTERM)
    assert "EXTEND_TIMEOUT_USEC=" in expect("STOPPING=1")
    assert running.ended() == 0


def test_the_watchdog_waits_for_every_worker(service: Make, notified: socket.socket, tmp_path: Path) -> None:
    environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "1200000"}
    running = service(environment=environment, timing=replace(QUICK, hung=60))
    running.start()
    expect = messages(notified)
    expect("WATCHDOG=1")
    worker = int(running.ask()[1])
    os.kill(worker, signal.SIGSTOP)
    # A third of the watchdog's time is all that a worker gets, so that systemd need not act.
    running.wait_log("a worker hangs")
    assert running.metric('gatepost_worker_restarts_total{daemon="echo"}') is not None
    running.wait_log("signal=SIGKILL")
    expect("WATCHDOG=1")


def test_sockets_from_systemd(service: Make, tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as first,
        socket.create_server(("127.0.0.1", 0)) as second,
        socket.create_server(("127.0.0.1", 0)) as page,
    ):
        port = first.getsockname()[1]
        running = service(
            options={"socket": f"inet:{port}@127.0.0.1", "metrics": None},
            environment={"LISTEN_FDNAMES": "echo:other.socket:metrics"},
            passed=[first, second, page],
        ).start()
        running.metrics_port = page.getsockname()[1]
        assert running.page("/healthz")[0] == 200
        for each in (port, second.getsockname()[1]):
            running.port = each
            assert running.ask()
        assert running.log().count("took a socket from systemd") == 2
        assert running.log().count("does not name") == 1
        running.kill(signal.SIGTERM)
        assert running.ended() == 0
        # Still systemd's: whoever connects now waits for the next start.
        with running.connect():
            pass


def test_a_socket_from_systemd_that_does_not_listen(service: Make) -> None:
    with socket.socket() as idle:
        running = service(passed=[idle]).launch()
        assert running.ended() == 1
    assert "ListenStream=" in running.log()


def test_a_taken_address_ends_the_start(service: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        running = service(options={"socket": f"inet:{port}@127.0.0.1"}).launch()
        assert running.ended() == 1
    assert f"address 127.0.0.1:{port} is in use" in running.log()


def test_a_broken_configuration_ends_the_start(service: Make) -> None:
    running = service(greeting="broken").launch()
    assert running.ended() == 78
    assert running.log().splitlines()[-2:] == ["greeting:1:1: is broken", "greeting:2:1: twice"]


def test_leaves_nothing_behind(service: Make, tmp_path: Path) -> None:
    runtime = tmp_path / "run"
    (runtime / "metrics-echo").mkdir(parents=True)
    (runtime / "metrics-echo" / "counter_9.db").write_bytes(b"from an earlier life")
    running = service(
        options={"socket": f"unix:{tmp_path}/s"}, environment={"RUNTIME_DIRECTORY": str(runtime)}
    ).start()
    assert running.page("/metrics")[0] == 200
    running.kill(signal.SIGTERM)
    assert running.ended() == 0
    assert list(runtime.iterdir()) == []
    assert not (tmp_path / "s").exists()


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory that other users can reach, which ``tmp_path`` is not."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@needs_root
def test_becomes_the_user(open_directory: Path) -> None:
    path = open_directory / "s"
    with Service(open_directory, options={"user": "nobody", "socket": f"unix:{path}"}).start() as running:
        _check_user(running, path)


def _check_user(running: Service, path: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    worker = int(running.ask(path=str(path))[1])
    for pid in (running.pid, worker):
        facts = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        assert facts["Uid"].split() == [str(nobody.pw_uid)] * 4
        assert facts["Gid"].split() == [str(nobody.pw_gid)] * 4
        assert set(facts["Groups"].split()) <= {str(nobody.pw_gid)}
        assert int(facts["CapEff"], 16) == 0
    status = path.stat()
    assert (status.st_uid, stat.S_IMODE(status.st_mode)) == (nobody.pw_uid, 0o660)
    os.kill(worker, signal.SIGKILL)
    running.wait_log("a worker died")
    assert running.ask(path=str(path))
    wait_for(lambda: running.metric('gatepost_worker_open_fds{daemon="echo",worker="0"}'))
    running.greet("read as nobody")
    running.kill(signal.SIGHUP)
    running.wait_log("reloaded")
