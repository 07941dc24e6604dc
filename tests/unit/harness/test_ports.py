"""Ports that nobody else is given."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

from tests.harness.ports import free_port, listening_at

_ANOTHER = "from tests.harness.ports import free_port; print(*(free_port() for _ in range(150)))"


def test_no_two_processes_are_given_the_same_port() -> None:
    ours = {free_port() for _ in range(150)}
    root = Path(__file__).parents[3]
    said = subprocess.run(
        [sys.executable, "-c", _ANOTHER], cwd=root, capture_output=True, text=True, check=True
    )
    theirs = {int(word) for word in said.stdout.split()}
    assert (len(ours), len(theirs)) == (150, 150)
    assert not ours & theirs


def test_a_unix_socket_is_listened_at_only_then(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        assert not listening_at(path)
        server.listen()
        assert listening_at(path)
    assert not listening_at(path)
