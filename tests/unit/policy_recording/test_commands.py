"""``gatepost record`` and ``gatepost replay`` with policy sessions."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gatepost.cli import main
from tests.harness.policy_client import PolicyClient
from tests.harness.waiting import PATIENCE
from tests.sessions.daemons import HERE as MILTERS
from tests.sessions.daemons import NOW, filled_in
from tests.sessions.policy.daemons import HERE
from tests.unit.policy.serving import PolicyServer

FILES = {
    name: [str(file) for file in sorted((HERE / name).glob("*.session"))] for name in ("spf", "greylist")
}


@pytest.fixture
def config(open_place: Path) -> Iterator[str]:
    file = open_place / "gatepost.yaml"
    file.write_text(filled_in(HERE / "gatepost.yaml", open_place))
    yield str(file)
    assert not (open_place / "greylist.sqlite").exists()  # a replay leaves the site's memory alone


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("clock", [[], ["--clock", str(NOW)]])
def test_replay_to_a_service_of_the_configuration(
    config: str, name: str, clock: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["replay", *FILES[name], "--daemon", name, "--config", config, *clock]) == 0
    assert capsys.readouterr().out == f"{len(FILES[name])} of {len(FILES[name])} as recorded\n"


def test_differences_are_shown(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(HERE / "spf" / "softfail.session")
    assert main(["replay", file, "--daemon", "spf-strict", "--config", config]) == 1
    output = capsys.readouterr().out
    assert output.startswith(f"{file}, connection 1:\n   protocol_state=")
    assert '\n  +"550 5.7.23 SPF softfail' in output
    assert output.endswith("\n0 of 1 as recorded\n")


def test_a_session_of_another_kind(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    milter = str(MILTERS / "verify" / "dkim-rsa.session")
    assert main(["replay", milter, "--daemon", "spf", "--config", config]) == 2
    assert capsys.readouterr().err == f"gatepost: {milter}: this is no session for spf\n"


def test_record_then_replay(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with PolicyServer(tmp_path / "service") as server:
        proxy, to = tmp_path / "proxy", f"unix:{server.address}"
        command = ["record", "--protocol", "policy", "--listen", f"unix:{proxy}", "--to", to]
        recorder = subprocess.Popen(
            [sys.executable, "-m", "gatepost", *command, "--output", f"{tmp_path}/sessions/"],
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert recorder.stderr is not None
            assert recorder.stderr.readline().startswith("gatepost: recording")
            for number in range(2):
                with PolicyClient(str(proxy)) as client:
                    assert client.ask(recipient=str(number)) == f"PREPEND X-Seen: {number}"
            recorder.send_signal(signal.SIGTERM)
            assert recorder.communicate(timeout=PATIENCE)[1] == "gatepost: 2 connections recorded\n"
        finally:
            recorder.kill()
            recorder.wait()
        files = [str(tmp_path / "sessions" / f"{number:04}.session") for number in (1, 2)]
        assert main(["replay", *files, "--to", to]) == 0
        server.handler.fixed = "REJECT"
        assert main(["replay", *files, "--to", to]) == 1
    assert capsys.readouterr().out.endswith('  +"REJECT"\n0 of 2 as recorded\n')
