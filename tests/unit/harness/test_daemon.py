"""The frame in which our daemons are tested."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
import yaml

from tests.harness.daemon import Installation, Notifications, samples
from tests.harness.waiting import wait_for


def test_samples() -> None:
    text = (
        "# HELP gatepost_messages_total Messages\n"
        "# TYPE gatepost_messages_total counter\n"
        'gatepost_messages_total{daemon="dkim-verify",verdict="accept"} 3.0\n'
        'gatepost_message_seconds_bucket{le="+Inf"} 1e+03\n'
        "gatepost_connections 0.0\n"
    )
    assert samples(text) == {
        'gatepost_messages_total{daemon="dkim-verify",verdict="accept"}': 3.0,
        'gatepost_message_seconds_bucket{le="+Inf"}': 1000.0,
        "gatepost_connections": 0.0,
    }


def test_notifications(tmp_path: Path) -> None:
    notifications = Notifications(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as daemon:
        daemon.connect(str(tmp_path / "notify"))
        daemon.send(b"STATUS=starting\n")
        daemon.send(b"READY=1\nSTATUS=2 workers")
        daemon.send(b"READY=1")
    wait_for(lambda: notifications.count("READY=1") == 2, "two READY=1")
    assert notifications.last("STATUS") == "2 workers"
    assert notifications.last("MAINPID") == ""
    notifications.close()
    assert not (tmp_path / "notify").exists()


def test_one_file_for_all_daemons(tmp_path: Path) -> None:
    installation = Installation(
        tmp_path,
        {"dkim-verify": {"verify_local": True}, "dkim-sign": {"workers": 2}},
        {"authserv_id": "mx.example.org"},
    )
    installation.configure({"dkim-sign": {"workers": 3}})
    written = yaml.safe_load(installation.file.read_text())
    assert written["authserv_id"] == "mx.example.org"
    assert written["daemons"] == {
        "dkim-verify": {**installation["dkim-verify"].addresses, "verify_local": True},
        "dkim-sign": {**installation["dkim-sign"].addresses, "workers": 3},
    }
    sockets = {section["socket"] for section in written["daemons"].values()}
    assert len(sockets) == 2


def test_a_daemon_that_refuses_its_configuration_says_why(tmp_path: Path) -> None:
    installation = Installation(tmp_path, {"dkim-verify": {"worcers": 2}})
    with pytest.raises(RuntimeError, match=r"(?s)status 78.*worcers"):
        installation.__enter__()
