"""What ``gatepost check`` foresees of this host: sockets that cannot be bound, files that only root can read."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from gatepost.cli import main
from gatepost.cli.outlook import outlook
from gatepost.config.load import read
from gatepost.dkim.keys.make import make_ed25519, pem
from tests.harness.ports import LOOPBACK

NAMES = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
LINE = (
    "   0: 0100007F:22BB 00000000:0000 {state} 00000000:00000000 00:00000000 00000000     0        0 4711 1\n"
)


def warnings(directory: Path, daemons: str, proc: Path, common: str = "") -> list[str]:
    file = directory / "gatepost.yaml"
    file.write_text(f"authserv_id: mail.example.nl\n{common}daemons:\n{daemons}")
    return [str(problem).removeprefix(f"{file}:") for problem in outlook(read(file), proc)]


def process(proc: Path, comm: str, cmdline: bytes, inode: int = 4711) -> None:
    place = proc / "815"
    (place / "fd").mkdir(parents=True)
    (place / "fd" / "5").symlink_to(f"socket:[{inode}]")
    (place / "comm").write_text(f"{comm}\n")
    (place / "cmdline").write_bytes(cmdline)


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """A host on which port 8891 (0x22BB) is listened on."""
    place = tmp_path / "proc"
    (place / "net").mkdir(parents=True)
    (place / "net" / "tcp").write_text(NAMES + LINE.format(state="0A"))
    return place


TAKEN = (
    "3:17: daemons.dkim-verify.socket: opendkim (process 815) listens on port 8891: "
    "stop it first, or choose another port"
)


@pytest.mark.parametrize(
    ("comm", "cmdline", "told"),
    [
        ("opendkim", b"/usr/sbin/opendkim\0-f\0", [TAKEN]),
        ("python3", b"/usr/bin/python3\0/opt/gatepost/bin/gatepost\0run\0dkim-verify\0", []),
        ("systemd", b"/sbin/init\0", []),
    ],
)
def test_a_port_that_somebody_else_has(
    tmp_path: Path, proc: Path, comm: str, cmdline: bytes, told: list[str]
) -> None:
    process(proc, comm, cmdline)
    assert warnings(tmp_path, "  dkim-verify: {socket: inet:8891}\n", proc) == told


def test_the_port_of_the_metrics(tmp_path: Path, proc: Path) -> None:
    process(proc, "opendkim", b"opendkim\0")
    [told] = warnings(tmp_path, "  dkim-verify: {socket: inet:8895, metrics: 127.0.0.1:8891}\n", proc)
    assert told.startswith("3:36: daemons.dkim-verify.metrics: opendkim (process 815) listens on port 8891")


def test_what_cannot_be_known_is_not_told(tmp_path: Path, proc: Path) -> None:
    daemons = "  dkim-verify: {socket: inet:8891}\n"
    assert warnings(tmp_path, daemons, proc) == []  # nobody is seen to have it
    process(proc, "opendkim", b"opendkim\0", inode=4712)
    assert warnings(tmp_path, daemons, proc) == []
    assert warnings(tmp_path, daemons, tmp_path / "elsewhere") == []


def test_a_connection_is_no_listener(tmp_path: Path, proc: Path) -> None:
    (proc / "net" / "tcp").write_text(NAMES + LINE.format(state="01"))
    process(proc, "opendkim", b"opendkim\0")
    assert warnings(tmp_path, "  dkim-verify: {socket: inet:8891}\n", proc) == []


def test_a_real_listener(tmp_path: Path) -> None:
    with socket.create_server((LOOPBACK, 0)) as listening:
        port = listening.getsockname()[1]
        [told] = warnings(tmp_path, f"  dkim-verify: {{socket: inet:{port}}}\n", Path("/proc"))
    assert f"(process {os.getpid()}) listens on port {port}" in told


def test_unix_sockets(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    there = tmp_path / "there"
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(there))
    daemons = f'  dkim-verify: {{socket: ["unix:/gone/a", "unix:{tmp_path}/file", "unix:{there}"]}}\n'
    assert [told.partition(": ")[2] for told in warnings(tmp_path, daemons, tmp_path)] == [
        "daemons.dkim-verify.socket[1]: there is no directory /gone: create it, or let systemd (RuntimeDirectory=)",
        f"daemons.dkim-verify.socket[2]: {tmp_path}/file exists and is no socket: move it away, or choose another path",
    ]


def test_files_that_a_reload_cannot_read(open_place: Path) -> None:
    key = open_place / "mail.private"
    key.write_text("-")
    key.chmod(0o600)
    daemons = (
        f"  dkim-sign: {{socket: inet:8892, keys: [{{domain: example.nl, selector: mail, file: {key}}}]}}\n"
    )
    [told] = warnings(open_place, daemons, open_place, "user: nobody\n")
    assert told.partition(": ")[2] == (
        f"daemons.dkim-sign.keys[1].file: {key}: the user nobody cannot read it: it is read at the start, by root, "
        "and a reload will fail; give its group the right to read it"
    )
    key.chmod(0o644)
    assert warnings(open_place, daemons, open_place, "user: nobody\n") == []
    (open_place / "gatepost.yaml").chmod(0o600)
    [told] = warnings(open_place, daemons, open_place, "user: nobody\n")
    assert f"{open_place}/gatepost.yaml: the user nobody cannot read it" in told
    assert warnings(open_place, daemons, open_place, "user: root\n") == []


def test_files_that_the_user_of_the_unit_cannot_read(
    open_place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gatepost.cli.outlook._SIGNER", "nobody")
    monkeypatch.setattr("gatepost.cli.outlook._OTHERS", "no-such-user")
    (open_place / "mail.private").write_bytes(pem(make_ed25519()))
    (open_place / "KeyTable").write_text(f"mail example.nl:mail:{open_place}/mail.private\n")
    (open_place / "SigningTable").write_text("example.nl mail\n")
    daemons = (
        "  dkim-verify: {socket: inet:8891}\n"
        f"  dkim-sign: {{socket: inet:8892, key_table: {open_place}/KeyTable,"
        f" signing_table: {open_place}/SigningTable}}\n"
    )
    closed = ["SigningTable", "mail.private"]
    for name in closed:
        (open_place / name).chmod(0o600)
    found = warnings(open_place, daemons, open_place)
    assert [line.partition(": ")[2] for line in found] == [
        f"daemons.dkim-sign: {open_place}/{name}: the user nobody cannot read it: gatepost@dkim-sign runs as "
        "that one; give its group the right to read it"
        for name in closed
    ]
    for name in closed:
        (open_place / name).chmod(0o644)
    assert warnings(open_place, daemons, open_place) == []


@pytest.mark.parametrize(
    ("store", "mode", "told"),
    [
        ("redis://:secret@127.0.0.1/1", 0o644, True),
        ("redis://:secret@127.0.0.1/1", 0o640, False),
        ("redis://127.0.0.1/1", 0o644, False),
        ("/var/lib/gatepost/greylist.sqlite", 0o644, False),
    ],
)
def test_a_password_that_everybody_can_read(tmp_path: Path, store: str, mode: int, told: bool) -> None:
    (tmp_path / "gatepost.yaml").touch(mode)
    (tmp_path / "gatepost.yaml").chmod(mode)
    found = warnings(tmp_path, f'  greylist: {{socket: inet:10023, store: "{store}"}}\n', tmp_path)
    assert [line.partition(": ")[2] for line in found] == (
        [
            f"daemons.greylist.store: holds a password, and every user can read it: chmod o= {tmp_path}/gatepost.yaml"
        ]
        if told
        else []
    )
    assert "secret" not in "".join(found)


def test_they_are_warnings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "gatepost.yaml"
    file.write_text(
        f"authserv_id: mail.example.nl\nseal_secret: {tmp_path}/seal.key\n"
        "daemons:\n  dkim-verify: {socket: unix:/gone/verify}\n"
    )
    assert main(["check", "--config", str(file)]) == 0
    assert "warning: " in capsys.readouterr().err
    assert not (tmp_path / "seal.key").exists()
