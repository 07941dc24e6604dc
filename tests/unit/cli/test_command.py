"""The command line's frame: what is found, what is said, and the exit status."""

from __future__ import annotations

import argparse
import os
import pty
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import gatepost.cli
from gatepost import __version__
from gatepost.cli import COMMANDS, main
from gatepost.cli.terminal import has_colour, table
from gatepost.config.errors import ConfigError
from gatepost.config.load import parse
from tests.harness.waiting import PATIENCE
from tests.unit.config.hosts import HOST

ROOT = Path(gatepost.cli.__file__).parents[2]


def gatepost_command(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gatepost", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE)


@pytest.fixture
def probe(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A command called "probe", whose ``main`` a test may replace."""
    module = ModuleType("gatepost.cli.probe")
    module.__dict__["add_arguments"] = lambda parser: parser.add_argument("--name", default="")
    module.__dict__["main"] = lambda arguments: 0
    monkeypatch.setitem(sys.modules, "gatepost.cli.probe", module)
    monkeypatch.setitem(COMMANDS, "probe", "try things")
    return module


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["version"]) == 0
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"gatepost {__version__}\n" * 2


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["help"]])
def test_help_names_every_command(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert all(f"\n  {name} " in out and purpose in out for name, purpose in COMMANDS.items())
    assert "example:\n  gatepost check" in out


def test_no_command_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("usage: gatepost COMMAND")


def test_an_unknown_command_gets_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["chek"]) == 2
    assert (
        capsys.readouterr().err.split("\n")[0]
        == 'gatepost: there is no command "chek" (did you mean "check"?)'
    )


def test_a_command_gets_its_arguments_and_gives_the_status(probe: ModuleType) -> None:
    seen: list[argparse.Namespace] = []

    def note(arguments: argparse.Namespace) -> int:
        seen.append(arguments)
        return 1

    probe.__dict__["main"] = note
    assert main(["probe", "--name", "x"]) == 1
    assert seen[0].name == "x"


def test_help_of_a_command_ends_with_its_example(
    probe: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    probe.__dict__["EXAMPLE"] = "gatepost probe --name x"
    with pytest.raises(SystemExit) as caught:
        main(["probe", "--help"])
    assert caught.value.code == 0
    out = capsys.readouterr().out
    assert "Try things." in out
    assert out.endswith("\nexample:\n  gatepost probe --name x\n")


@pytest.mark.parametrize("argument", ["--nam", "--unknown", "word"])
def test_wrong_arguments_are_wrong_usage(probe: ModuleType, argument: str) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["probe", argument])
    assert caught.value.code == 2


def test_a_broken_configuration_has_its_status_in_every_command(
    probe: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: object) -> int:
        parse("a: 1\n", "f", HOST)
        raise AssertionError

    probe.__dict__["main"] = fail
    assert main(["probe"]) == 78
    assert capsys.readouterr().err.startswith("f:1:1: ")


def test_ctrl_c_ends_quietly(probe: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt(_: object) -> int:
        raise KeyboardInterrupt

    probe.__dict__["main"] = interrupt
    assert main(["probe"]) == 130
    assert capsys.readouterr().err == ""


def test_a_reader_that_went_away_ends_quietly() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "wb") as pipe:
        # Not --help: newer versions of argparse see to that by themselves.
        command = [sys.executable, "-m", "gatepost", "version"]
        done = subprocess.run(command, cwd=ROOT, stdout=pipe, stderr=subprocess.PIPE, timeout=PATIENCE)
    assert (done.returncode, done.stderr) == (141, b"")


def test_commands_are_imported_when_called_for() -> None:
    code = "import sys, gatepost.cli; gatepost.cli.main(['version']); print('pydantic' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.stdout.splitlines()[-1] == "False"


def test_colour_is_for_terminals() -> None:
    master, slave = pty.openpty()
    with open(slave, "w") as terminal, open(master, "rb"):
        assert has_colour(terminal, {})
        assert has_colour(terminal, {"NO_COLOR": ""})
        assert not has_colour(terminal, {"NO_COLOR": "1"})
        assert not has_colour(terminal, {"TERM": "dumb"})
    with open(os.devnull, "w") as file:
        assert not has_colour(file, {})


def test_table() -> None:
    assert table([("a", "bb"), ("ccc", "")]) == ["a    bb", "ccc"]


def test_check_of_a_file_that_is_not_there(tmp_path: Path) -> None:
    done = gatepost_command("check", "--config", str(tmp_path / "none"))
    assert (done.returncode, done.stdout) == (78, "")
    assert done.stderr == f"{tmp_path}/none: there is no such file\n"


def test_the_error_prints_one_line_a_problem() -> None:
    with pytest.raises(ConfigError) as caught:
        parse("log: {level: x, form: y}\n", "f", HOST)
    assert len(str(caught.value).split("\n")) == len(caught.value.problems) == 3
