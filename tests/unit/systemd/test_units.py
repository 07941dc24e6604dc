"""The units: systemd reads them without a word, they are shut tight, and they fit the rest of what is shipped."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import pytest

from gatepost.cli import main
from gatepost.config.host import Host
from gatepost.config.load import parse
from gatepost.config.sections import Daemon
from gatepost.service.supervisor import USUAL
from tests.harness.milter_client import Mail, MilterClient
from tests.harness.units import NAMES, UNITS, Unit, seconds
from tests.harness.waiting import wait_for

pytestmark = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze here (package systemd)"
)

ADDRESSES = {
    "dkim-verify": "127.0.0.1:8891",
    "dkim-sign": "127.0.0.1:8892",
    "dmarc-enforce": "127.0.0.1:8893",
    "dmarc-stamp": "127.0.0.1:8894",
    "spf": "/var/spool/postfix/private/gatepost-spf",
    "greylist": "127.0.0.1:10023",
}
ALL = ["gatepost.target"] + [f"gatepost@{name}.{kind}" for name in NAMES for kind in ("socket", "service")]

MOST_EXPOSED = 20
"""In tenths, as --threshold has it."""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """The environment in which systemd's tools find our units, with a gatepost to start."""
    directory = tmp_path_factory.mktemp("units")
    program = directory / "gatepost"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    shutil.copytree(UNITS, directory / "system")
    template = directory / "system" / "gatepost@.service"
    text = template.read_text()
    assert "\nExecStart=gatepost " in text
    template.write_text(text.replace("ExecStart=gatepost ", f"ExecStart={program} "))
    return {**os.environ, "SYSTEMD_UNIT_PATH": f"{directory / 'system'}:", "SYSTEMD_LOG_LEVEL": "info"}


def analyze(environment: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", "--no-pager", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_systemd_has_nothing_to_say(installed: Mapping[str, str]) -> None:
    verified = analyze(installed, "verify", "--man=no", *ALL)
    assert (verified.returncode, verified.stdout, verified.stderr) == (0, "", "")


def test_systemd_would_say_it(installed: Mapping[str, str], tmp_path: Path) -> None:
    (tmp_path / "gatepost@x.service").write_text("[Service]\nExecStart=/bin/true\nProtectSytem=strict\n")
    environment = {**installed, "SYSTEMD_UNIT_PATH": f"{tmp_path}:"}
    verified = analyze(environment, "verify", "--man=no", "gatepost@x.service")
    assert "ProtectSytem" in verified.stderr


@pytest.mark.parametrize("name", NAMES)
def test_a_daemon_is_hardly_exposed(installed: Mapping[str, str], name: str) -> None:
    arguments = ("security", "--offline=true", f"--threshold={MOST_EXPOSED}", f"gatepost@{name}.service")
    told = analyze(installed, *arguments)
    assert told.returncode == 0, told.stdout
    [level] = re.findall(r"Overall exposure level for .*: ([0-9.]+)", told.stdout)
    assert 0 < float(level) <= MOST_EXPOSED / 10


@pytest.mark.parametrize("name", NAMES)
def test_the_socket_is_the_guides_and_bears_the_daemons_name(name: str) -> None:
    unit = Unit(f"gatepost@{name}.socket")
    assert unit.all("Socket", "ListenStream") == [ADDRESSES[name]]
    # By this the daemon knows which of several sockets is its own.
    assert unit.one("Socket", "FileDescriptorName") == name
    assert ("Socket", "Accept") not in unit.options
    assert (ADDRESSES[name][0] == "/") == (unit.all("Socket", "SocketMode") == ["0660"])


def test_a_restart_of_all_leaves_the_sockets_open() -> None:
    for name in NAMES:
        socket, service = Unit(f"gatepost@{name}.socket"), Unit(f"gatepost@{name}.service")
        assert socket.all("Unit", "StopPropagatedFrom") == ["gatepost.target"]
        assert not socket.all("Unit", "PartOf")
        assert service.all("Unit", "PartOf") == ["gatepost.target"]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_started_is_a_command_of_ours(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    program, *arguments = shlex.split(Unit(f"gatepost@{name}.service").one("Service", "ExecStart"))
    assert program == "gatepost"
    assert arguments[:2] == ["run", name]
    with pytest.raises(SystemExit) as left:
        main([*arguments, "--help"])
    assert left.value.code == 0
    capsys.readouterr()


def test_there_is_time_to_finish_and_to_be_heard() -> None:
    unit = Unit("gatepost@spf.service")
    drained = Daemon.model_fields["drain_timeout"].default
    assert seconds(unit.one("Service", "TimeoutStopSec")) > drained + USUAL.margin
    # A third of it is how soon a hung worker has to be gone.
    assert seconds(unit.one("Service", "WatchdogSec")) / 3 >= USUAL.hung


def test_only_dkim_sign_can_read_keys() -> None:
    for name in NAMES:
        unit = Unit(f"gatepost@{name}.service")
        hidden = " ".join(unit.all("Service", "InaccessiblePaths"))
        user, group = unit.one("Service", "User"), unit.one("Service", "Group")
        assert not unit.all("Service", "SupplementaryGroups")
        if name == "dkim-sign":
            assert (user, group, hidden) == ("gatepost-sign", "gatepost-sign", "")
            assert unit.all("Service", "StateDirectory") == []
        else:
            assert (user, group) == ("gatepost", "gatepost")
            assert hidden == "-/etc/gatepost/keys -/var/lib/gatepost/dkim"


def test_users_and_directories_are_made_as_the_units_need_them(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    made = subprocess.run(
        ["systemd-sysusers", f"--root={tmp_path}", str(UNITS / "gatepost.sysusers")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    users = [line.split(":")[0] for line in (tmp_path / "etc" / "passwd").read_text().splitlines()]
    assert {"gatepost", "gatepost-sign"} <= set(users)
    lines = [
        line.split()
        for line in (UNITS / "gatepost.tmpfiles").read_text().splitlines()
        if not line.startswith("#")
    ]
    passable = Unit("gatepost@spf.service").one("Service", "StateDirectoryMode")
    assert {line[1]: line[2:5] for line in lines} == {
        "/etc/gatepost": ["0755", "root", "root"],
        "/etc/gatepost/keys": ["0750", "root", "gatepost-sign"],
        "/var/lib/gatepost": [passable, "gatepost", "gatepost"],
        "/var/lib/gatepost/dkim": ["0750", "root", "gatepost-sign"],
    }


def test_what_is_enabled_starts_with_the_target(tmp_path: Path) -> None:
    units = tmp_path / "usr/lib/systemd/system"
    shutil.copytree(UNITS, units)
    subprocess.run(
        ["systemctl", f"--root={tmp_path}", "enable", "gatepost.target", *ALL[1::2]],
        check=True,
        capture_output=True,
    )
    wanted = tmp_path / "etc/systemd/system/gatepost.target.wants"
    assert {file.name for file in wanted.iterdir()} == set(ALL[1:])
    assert (tmp_path / "etc/systemd/system/multi-user.target.wants/gatepost.target").is_symlink()


def connected(path: Path) -> MilterClient | None:
    try:
        return MilterClient(str(path))
    except OSError:  # not bound, or not listening yet
        return None


def test_a_daemon_takes_a_socket_that_systemd_opened(tmp_path: Path) -> None:
    """With systemd's own tool for it; what goes on then is in the end-to-end tests."""
    file = tmp_path / "gatepost.yaml"
    file.write_text(
        "authserv_id: mail.example.nl\ndns: {nameservers: [127.0.0.1:9]}\n"
        f"seal_secret: {tmp_path / 'seal.key'}\n"
        f"daemons:\n  dkim-verify: {{socket: 'unix:{tmp_path / 'milter'}'}}\n"
    )
    command = ["systemd-socket-activate", f"--listen={tmp_path / 'milter'}", "--fdname=dkim-verify"]
    _, *arguments = shlex.split(Unit("gatepost@dkim-verify.service").one("Service", "ExecStart"))
    start = [sys.executable, "-m", "gatepost", *arguments[:-1], str(file)]
    with subprocess.Popen([*command, *start], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            client = wait_for(partial(connected, tmp_path / "milter"), "the socket")
            assert client is not None
            with client:
                assert client.send(Mail(headers=[(b"From", b" a@example.org")])).disposition == "accept"
        finally:
            process.terminate()
        told = process.stderr.read()
    assert "took a socket from systemd name=dkim-verify" in told
    assert process.returncode == 0


def test_the_shipped_configuration_names_the_same_sockets_and_users() -> None:
    host = Host(user_exists={"gatepost", "gatepost-sign"}.__contains__)
    config = parse((UNITS.parent / "conf" / "gatepost.yaml").read_text(), "gatepost.yaml", host).config
    assert set(config.daemons) == set(NAMES)
    for name, daemon in config.daemons.items():
        address, _, port = ADDRESSES[name].partition(":")
        expected = f"inet:{address}:{port}" if port else f"unix:{address}"
        assert [str(each) for each in daemon.socket] == [expected]
        assert (daemon.user or config.user) == Unit(f"gatepost@{name}.service").one("Service", "User")
