"""The service on standard input and output, in a process that is started as spawn(8) starts it."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.harness.policy_client import PolicyClient, request
from tests.harness.waiting import PATIENCE

ROOT = Path(__file__).parents[3]
PROGRAM = [sys.executable, "-m", "tests.unit.policy.stdio_process"]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "gatepost.yaml"
    options = (
        "{kind: dkim-verify, socket: inet:1, on_internal_error: accept, limits: {answer_timeout: 300ms}}"
    )
    file.write_text(f"authserv_id: mail.example.nl\ndaemons:\n  scripted: {options}\n")
    return file


@contextmanager
def spawned(*arguments: str | Path) -> Iterator[tuple[PolicyClient, subprocess.Popen[bytes]]]:
    """The service with one connection as its standard input, output and error, and the other end of that."""
    ours, theirs = socket.socketpair()
    ours.settimeout(PATIENCE)
    with ours:
        end = theirs.fileno()
        process = subprocess.Popen([*PROGRAM, *arguments], stdin=end, stdout=end, stderr=end, cwd=ROOT)
        theirs.close()
        try:
            yield PolicyClient.over(ours), process
        finally:
            process.kill()
            process.wait()


def test_one_connection_to_its_end(config: Path) -> None:
    with spawned(config) as (client, process):
        assert [client.ask(recipient=str(number)) for number in range(20)] == [
            f"PREPEND X-Seen: {number}" for number in range(20)
        ]
        client.raw(request(sender="slow@x", recipient="1") + request(recipient="2"))
        assert client.answers(2) == ["PREPEND X-Waited: 1", "PREPEND X-Seen: 2"]
        for sender in ("raise@x", "raise-later@x", "never@x", "cancel@x", "none@x"):
            assert client.ask(sender=sender) == "DUNNO"
        client.socket.shutdown(socket.SHUT_WR)
        assert process.wait(PATIENCE) == 0
        assert client.at_end()  # and nothing was printed there


def test_told_to_stop_it_answers_first(config: Path) -> None:
    with spawned(config) as (client, process):
        assert client.ask(sender="stop@x", recipient="x") == "PREPEND X-Waited: x"
        assert process.wait(PATIENCE) == 0
        assert client.at_end()


def test_told_to_stop_between_requests(config: Path) -> None:
    with spawned(config) as (client, process):
        assert client.ask(recipient="x") == "PREPEND X-Seen: x"
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
        assert client.at_end()


def test_garbage_is_the_end(config: Path) -> None:
    with spawned(config) as (client, process):
        client.raw(request(recipient="x") + b"GET / HTTP/1.1\r\n\r\n")
        assert client.answer() == "PREPEND X-Seen: x"
        assert client.at_end()
        assert process.wait(PATIENCE) == 0


def test_a_peer_that_leaves(config: Path) -> None:
    with spawned(config) as (client, process):
        assert client.ask(recipient="x") == "PREPEND X-Seen: x"
        client.raw(request(sender="slow@x") * 3)
        client.close()
        assert process.wait(PATIENCE) == 0


def test_silence_has_an_end(config: Path) -> None:
    config.write_text(config.read_text().replace("limits: {", "limits: {idle_timeout: 100ms, "))
    with spawned(config) as (client, process):
        assert client.at_end()
        assert process.wait(PATIENCE) == 0


def test_half_a_request_has_an_end(config: Path) -> None:
    config.write_text(config.read_text().replace("limits: {", "limits: {partial_timeout: 100ms, "))
    with spawned(config) as (client, process):
        client.raw(b"request=smtpd_access_policy\n")
        assert client.at_end()
        assert process.wait(PATIENCE) == 0


def test_files_and_pipes_will_do(config: Path, tmp_path: Path) -> None:
    requests = tmp_path / "requests"
    requests.write_bytes(request(recipient="1") + request(sender="raise@x") + request(recipient="2"))
    with requests.open("rb") as source:
        done = subprocess.run([*PROGRAM, config], stdin=source, capture_output=True, cwd=ROOT, check=True)
    assert done.stdout == b"action=PREPEND X-Seen: 1\n\naction=DUNNO\n\naction=PREPEND X-Seen: 2\n\n"
    assert b"error: internal error" in done.stderr


def test_the_log_goes_to_syslog(config: Path, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as syslog:
        syslog.bind(str(tmp_path / "log"))
        syslog.settimeout(PATIENCE)
        with spawned(config, tmp_path / "log") as (client, process):
            assert client.ask(sender="raise@x", client_address="192.0.2.1") == "DUNNO"
            line = syslog.recv(8192).decode()
        assert line.startswith("<19>")
        assert f" gatepost/scripted[{process.pid}]: error: internal error " in line
        assert 'error="RuntimeError: as the script says"' in line
        assert "client=192.0.2.1 " in line
        assert line.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "status", "word"),
    [
        (["dkim-verify", "--stdio"], 2, "no policy service"),
        (["nobody", "--stdio"], 78, "no daemon is called"),
    ],
)
def test_what_has_no_policy_to_tell(tmp_path: Path, arguments: list[Any], status: int, word: str) -> None:
    config = tmp_path / "gatepost.yaml"
    config.write_text(
        f"authserv_id: mail.example.nl\nseal_secret: {tmp_path}/seal.key\n"
        "daemons: {dkim-verify: {socket: inet:1}}\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "gatepost", "run", *arguments, "--config", config],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        cwd=ROOT,
        check=False,
    )
    assert (done.returncode, done.stdout) == (status, "")
    assert word in done.stderr
