"""``gatepost run``, with the echo daemon in place of a real one."""

from __future__ import annotations

import argparse
import os
import signal
import socket
from pathlib import Path

import pytest

from gatepost.cli import run as command
from gatepost.config.errors import ConfigError, Problem
from gatepost.config.settings import Config
from tests.harness.ports import free_port
from tests.unit.service.support import Echo, wait_for


def echo(config: Config, name: str) -> Echo:
    if config.authserv_id == "refused.example":
        raise ConfigError([Problem("", 0, 0, "authserv_id", "is refused")])
    return Echo("hello", [])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "gatepost.yaml"
    path.write_text(
        f"authserv_id: mail.example.nl\ndaemons:\n  dkim-verify: {{socket: 'inet:{free_port()}@127.0.0.1'}}\n"
    )
    return path


def test_a_broken_file(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "gatepost.yaml"
    file.write_text("daemons: {dkim-verify: {socket: 1}}\ndsn: {}\n")
    assert command.run("dkim-verify", file, echo) == 78
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 2
    assert all(f"{file}:" in line for line in lines)


def test_a_daemon_that_is_not_there(file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert command.run("dkim-sing", file, echo) == 78
    assert "no daemon dkim-sing (it has: dkim-verify)" in capfd.readouterr().err


def test_a_fault_found_while_building(file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file.write_text(file.read_text().replace("mail.example.nl", "refused.example"))
    assert command.run("dkim-verify", file, echo) == 78
    assert f"{file}:1:1: authserv_id: is refused" in capfd.readouterr().err


def test_a_taken_port(file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        file.write_text(
            f"authserv_id: a.example\ndaemons: {{dkim-verify: {{socket: 'inet:{port}@127.0.0.1'}}}}"
        )
        assert command.run("dkim-verify", file, echo) == 1
    err = capfd.readouterr().err
    assert f"address 127.0.0.1:{port} is in use" in err
    assert err.count("\n") == 1


def test_signals_are_as_before_afterwards(file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGTERM)
    file.write_text("daemons: [")
    command.run("dkim-verify", file, echo)
    assert signal.getsignal(signal.SIGTERM) is before
    assert capfd.readouterr().err


def test_runs_until_told_to_stop(file: Path, tmp_path: Path) -> None:
    pid = os.fork()
    if pid == 0:
        status = 99
        try:
            os.dup2(os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT), 2)
            status = command.run("dkim-verify", file, echo)
        finally:
            os._exit(status)
    try:
        wait_for(lambda: (tmp_path / "log").exists() and ": ready" in (tmp_path / "log").read_text())
    finally:
        os.kill(pid, signal.SIGTERM)
        _, status = os.waitpid(pid, 0)
    assert status == 0


def test_arguments() -> None:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    assert parser.parse_args(["x", "--config", "/f"]) == argparse.Namespace(
        name="x", config=Path("/f"), stdio=False
    )
