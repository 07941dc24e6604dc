"""``gatepost record`` and ``gatepost replay``."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gatepost.cli import main
from tests.harness.milter_client import Mail, MilterClient
from tests.harness.waiting import PATIENCE
from tests.sessions.daemons import HERE, NOW, filled_in

CLOCK = str(NOW)
ONE = str(HERE / "verify" / "dkim-rsa.session")


@pytest.fixture
def config(open_place: Path) -> str:
    return configured(open_place, "gatepost.yaml")


def configured(place: Path, name: str) -> str:
    (place / name).write_text(filled_in(HERE / name, place))
    return str(place / name)


def test_replay_to_a_daemon_of_the_configuration(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    files = [str(file) for file in sorted((HERE / "sign").glob("*.session"))]

    assert main(["replay", *files, "--daemon", "sign", "--config", config, "--clock", CLOCK]) == 0
    assert capsys.readouterr().out == f"{len(files)} of {len(files)} as recorded\n"


def test_replay_at_another_time(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Signatures and seals are other ones, and mean the same."""
    arguments = ["replay", str(HERE / "sign" / "user.session"), "--daemon", "sign", "--config", config]

    assert main(arguments) == 0
    assert main([*arguments, "--clock", "1"]) == 1
    assert '+        "\\td=example.nl; s=mail; t=1;\\n"' in capsys.readouterr().out


def test_replay_leaves_the_history_alone(open_place: Path) -> None:
    file, history = Path(configured(open_place, "dmarc.yaml")), open_place / "dmarc.db"
    file.write_text(file.read_text().replace("history: null", f"history: {history}"))
    assert str(history) in file.read_text()
    sessions = [str(each) for each in sorted((HERE / "dmarc").glob("*.session"))]

    assert main(["replay", *sessions, "--daemon", "dmarc", "--config", str(file), "--clock", CLOCK]) == 0
    assert not history.exists()


def test_replay_to_another_daemon_shows_what_differs(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    unsigned = str(HERE / "verify" / "pipelined.session")
    arguments = ["--daemon", "verify-inside", "--config", config, "--clock", CLOCK]

    assert main(["replay", ONE, unsigned, *arguments]) == 0

    assert main(["replay", str(HERE / "verify-strict" / "unsigned.session"), ONE, *arguments]) == 1
    output = capsys.readouterr().out
    assert "unsigned.session, connection 1:\n" in output
    assert '  -    quarantine "No DKIM signature found"\n' in output
    assert output.endswith("1 of 2 as recorded\n")


WRONG = [
    (
        ["--to", "unix:/nonexistent/x"],
        1,
        "gatepost: the daemon cannot be reached: No such file or directory\n",
    ),
    (["--daemon", "nobody", "--config", "/nonexistent"], 78, "/nonexistent: "),
    (["--to", "unix:/x", "--clock", "1"], 2, "gatepost replay: --clock goes with --daemon\n"),
]


@pytest.mark.parametrize(("arguments", "status", "text"), WRONG)
def test_replay_that_cannot_be_done(
    arguments: list[str], status: int, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["replay", ONE, *arguments]) == status
    assert capsys.readouterr().err.startswith(text)


UNREADABLE = [
    (b"hello\n", 'line 1: a session file begins with the line "gatepost session 1"'),
    (b"gatepost session 1\n\xff", "not UTF-8"),
    (None, "No such file or directory"),
]


@pytest.mark.parametrize(("octets", "reason"), UNREADABLE)
def test_replay_of_what_is_no_session(
    octets: bytes | None, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a.session"
    if octets is not None:
        file.write_bytes(octets)

    assert main(["replay", str(file), "--to", "unix:/x"]) == 2
    assert capsys.readouterr().err == f"gatepost: {file}: {reason}\n"


def test_arguments_that_are_no_socket(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["record", "--listen", "8891", "--to", "unix:/x", "--output", "x"])

    assert caught.value.code == 2
    assert 'write "inet:8891@127.0.0.1"' in capsys.readouterr().err


class Started:
    """A command in a process of its own, which says when it is ready."""

    def __init__(self, *command: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self._process.stdout is not None
        self.first_line = self._process.stdout.readline()

    def stop(self) -> tuple[int, str]:
        self._process.send_signal(signal.SIGTERM)
        output, _ = self._process.communicate(timeout=PATIENCE)
        return self._process.returncode, output


def test_record_then_replay(open_place: Path, config: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What a client and our daemon said through the proxy is played again, and answered in the same way."""
    served = Started("tests.sessions.serve", "asyncio", "verify", str(open_place), str(open_place / "verify"))
    assert served.first_line == "ready\n"
    socket, output = open_place / "proxy", open_place / "sessions"
    recorder = Started(
        *("gatepost", "record", "--listen", f"unix:{socket}", "--to", f"unix:{open_place / 'verify'}"),
        *("--output", f"{output}/", "--comment", "Two messages."),
    )
    assert (
        recorder.first_line
        == f"gatepost: recording unix:{socket} to unix:{open_place / 'verify'}, into {output}/\n"
    )

    with MilterClient(str(socket)) as client:
        for body in (b"Hello.\r\n", b"\0\xff" * 70_000):
            assert (
                client.send(Mail(headers=[(b"From", b" a@example.org")], body=body)).disposition == "accept"
            )

    assert recorder.stop() == (0, "gatepost: 1 connection recorded\n")
    assert not socket.exists()
    [file] = output.iterdir()
    assert file.read_text().startswith("gatepost session 1\n# Two messages.\n\nopen\n")
    assert main(["replay", str(file), "--to", f"unix:{open_place / 'verify'}"]) == 0
    assert main(["replay", str(file), "--daemon", "verify", "--config", config, "--clock", CLOCK]) == 0
    assert capsys.readouterr().out == "1 of 1 as recorded\n" * 2
    served.stop()


def test_record_where_it_cannot_write(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine").touch()
    arguments = ["--listen", f"unix:{tmp_path / 'a'}", "--to", "unix:/x", "--output", str(tmp_path / "mine")]

    assert main(["record", *arguments]) == 1
    assert capsys.readouterr().err == f"gatepost: {tmp_path / 'mine'}: File exists\n"
