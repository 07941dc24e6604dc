"""A service that is told to read its configuration again, as processes on the loopback."""

from __future__ import annotations

import json
import os
import signal
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from tests.harness.ports import free_port
from tests.unit.service.support import QUICK, Make, wait_for


def test_reload_takes_the_new_configuration(service: Make, tmp_path: Path) -> None:
    running = service(timing=replace(QUICK, watch=60)).start()
    go = tmp_path / "go"
    with running.connect() as connection:
        connection.ask("first")
        connection.send(f"wait {go}")
        wait_for(lambda: running.metric('gatepost_connections{daemon="echo"}') == 1)
        running.greet("bye")
        running.kill(signal.SIGHUP)
        running.wait_log("reloaded")
        assert running.ask()[0] == "bye"
        go.touch()
        assert connection.receive()[0] == "hello"
    running.wait_log("old workers are done")
    assert running.metric('gatepost_config_reload_attempts_total{daemon="echo"}') == 1
    assert running.metric('gatepost_config_reload_last_successful{daemon="echo"}') == 1


def test_only_a_stop_hurries_those_that_a_reload_has_retired(service: Make) -> None:
    options = {"workers": 1, "drain_timeout": 600}
    running = service(greeting="stays", options=options, timing=replace(QUICK, watch=60)).start()
    running.greet("hello")
    running.kill(signal.SIGHUP)
    running.wait_log("reloaded")
    assert running.ask()[0] == "hello"
    assert running.metric('gatepost_workers{daemon="echo"}') == 2
    running.kill(signal.SIGTERM)
    assert running.ended() == 0
    assert "old workers are done" not in running.log()


def test_reload_changes_sockets_and_workers(service: Make, tmp_path: Path) -> None:
    running = service(options={"socket": [f"unix:{tmp_path}/a", f"unix:{tmp_path}/b"]}).start()
    assert running.ask(path=f"{tmp_path}/a")
    running.metrics_port = free_port()
    running.configure(
        socket=[f"unix:{tmp_path}/b", f"inet:{running.port}@127.0.0.1"],
        workers=1,
        metrics=f"127.0.0.1:{running.metrics_port}",
    )
    running.kill(signal.SIGHUP)
    running.wait_log("reloaded")
    assert not (tmp_path / "a").exists()
    assert running.ask()[1] == running.ask(path=f"{tmp_path}/b")[1]
    running.wait_log("old workers are done")
    assert len(json.loads(running.page("/healthz")[2])["workers"]) == 1


def test_a_broken_configuration_changes_nothing(service: Make) -> None:
    running = service(timing=replace(QUICK, watch=60)).start()
    pids = running.both()
    running.greet("broken")
    running.kill(signal.SIGHUP)
    running.wait_log("not reloaded")
    assert "greeting:1:1: is broken" in running.log()
    assert "greeting:2:1: twice" in running.log()
    running.config.write_text("[")
    running.kill(signal.SIGHUP)
    running.wait_log("not reloaded", times=2)
    assert running.both() == pids
    assert running.metric('gatepost_config_reload_failures_total{daemon="echo"}') == 2
    assert running.metric('gatepost_config_reload_last_successful{daemon="echo"}') == 0


def test_a_reload_that_does_not_serve_is_given_up(service: Make, tmp_path: Path) -> None:
    running = service(timing=replace(QUICK, watch=60)).start()
    pids = running.both()
    running.greet("dies")
    running.configure(socket=[f"inet:{running.port}@127.0.0.1", f"unix:{tmp_path}/new"])
    running.kill(signal.SIGHUP)
    running.wait_log("not reloaded")
    assert running.both() == pids
    assert not (tmp_path / "new").exists()
    wait_for(lambda: len(json.loads(running.page("/healthz")[2])["workers"]) == 2)


def test_a_reload_onto_a_taken_port_changes_nothing(service: Make) -> None:
    running = service().start()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        running.configure(socket=f"inet:{taken.getsockname()[1]}@127.0.0.1")
        running.kill(signal.SIGHUP)
        running.wait_log("not reloaded")
    assert "is in use" in running.log()
    assert running.ask()


@pytest.mark.parametrize("option", ["socket", "metrics"])
def test_a_reload_that_moves_a_port_to_another_address_says_what_to_do(service: Make, option: str) -> None:
    running = service().start()
    port = running.metrics_port if option == "metrics" else running.port
    running.configure(**{option: f"0.0.0.0:{port}" if option == "metrics" else f"inet:{port}@0.0.0.0"})
    running.kill(signal.SIGHUP)
    running.wait_log("not reloaded")
    assert f"port {port} is in use by this daemon itself, as" in running.log()
    assert running.ask()[0] == "hello"
    assert running.page("/healthz")[0] == 200


def test_a_changed_file_reloads(service: Make) -> None:
    running = service().start()
    running.greet("changed")
    running.wait_log("reloaded")
    assert running.ask()[0] == "changed"
    assert "greeting changed" in running.log()


def test_a_reload_is_done_when_nobody_meets_the_old_configuration(service: Make) -> None:
    running = service(timing=replace(QUICK, watch=60)).start()
    old = running.both()
    held = min(old)
    os.kill(held, signal.SIGSTOP)  # it does not hear that it may go, and would accept when it wakes
    running.greet("bye")
    running.kill(signal.SIGHUP)
    wait_for(lambda: len(pids := running.pids()) == 3 and pids & old == {held}, "the new workers")
    running.kill(signal.SIGHUP)  # waits for the first to be done
    assert "reloaded" not in running.log()
    assert running.metric('gatepost_config_reload_attempts_total{daemon="echo"}') == 1
    os.kill(held, signal.SIGCONT)
    running.wait_log("reloaded", times=2)
    assert [running.ask()[0] for _ in range(20)] == ["bye"] * 20
