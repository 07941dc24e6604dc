"""Completion: what bash offers at the end of a line, and that all shells get everything."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gatepost.cli import COMMANDS, main
from gatepost.cli.shells import SHELLS, bash
from gatepost.cli.syntax import commands, walk
from tests.harness.waiting import PATIENCE

SETTINGS = """
authserv_id: mx.example.nl
daemons:
  verify-here: {kind: dkim-verify, socket: inet:8891@127.0.0.1}
  verify-there: {kind: dkim-verify, socket: inet:8899@127.0.0.1}
"""
CHECKS = {"bash": ["bash", "-n"], "zsh": ["zsh", "-n"], "fish": ["fish", "--no-execute"]}
PROGRAM = f'#!/bin/sh\nexec {sys.executable} -m gatepost "$@"\n'


def script(shell: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["completion", shell]) == 0
    return capsys.readouterr().out


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a configuration, some files, and a program to complete."""
    directory = tmp_path_factory.mktemp("completion")
    (directory / "gatepost.yaml").write_text(SETTINGS)
    (directory / "with space.eml").touch()
    (directory / "keys").mkdir()
    program = directory / "bin" / "gatepost"
    program.parent.mkdir()
    program.write_text(PROGRAM)
    program.chmod(0o755)
    (directory / "completion").write_text(bash.completion(commands()))
    return directory


def offered(site: Path, *words: str) -> list[str]:
    """What bash offers for the last of *words*."""
    code = (
        'source ./completion && COMP_WORDS=("$@") && COMP_CWORD=$(($# - 1)) && _gatepost'
        ' && printf "%s\\n" "${COMPREPLY[@]}"'
    )
    root = Path(__file__).parents[3]
    done = subprocess.run(
        ["bash", "--norc", "-c", code, "bash", *words],
        cwd=site,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert done.stderr == ""
    return sorted(filter(None, done.stdout.split("\n")))


TABLE: list[tuple[tuple[str, ...], list[str]]] = [
    (("",), sorted(COMMANDS)),
    (("gre",), ["greylist"]),
    (("nothing", ""), []),
    (("greylist", ""), ["allow", "forget", "show", "stats"]),
    (("greylist", "show", "--or"), ["--origins"]),
    (("keygen", "--type", ""), ["ed25519", "rsa"]),
    (("keygen", "--type", "=", "e"), ["ed25519"]),
    (("keygen", "--type", "="), ["ed25519", "rsa"]),
    (("keygen", "--directory", ""), ["bin", "keys"]),
    (("keygen", ""), []),
    (("check", "--config", "gate"), ["gatepost.yaml"]),
    (("verify", "wi"), ["with space.eml"]),
    (("verify", "message", "wi"), []),
    (("verify", "--ip", "192.0.2.1", "wi"), ["with space.eml"]),
    (("verify", "--zone", "=", "zone.yaml", "wi"), ["with space.eml"]),
    (("replay", "one", "--to", "inet:1", "wi"), ["with space.eml"]),
    (("completion", ""), ["bash", "daemons", "fish", "zsh"]),
]


@pytest.mark.parametrize(("words", "expected"), TABLE, ids=lambda value: " ".join(value)[:40])
def test_bash_offers(site: Path, words: tuple[str, ...], expected: list[str]) -> None:
    assert offered(site, "gatepost", *words) == expected


@pytest.mark.parametrize(
    "words",
    [
        ("run", "--config", "gatepost.yaml", "verify-"),
        ("replay", "x", "--config", "gatepost.yaml", "--daemon", "verify-"),
    ],
)
def test_bash_offers_daemons_of_the_configuration(site: Path, words: tuple[str, ...]) -> None:
    assert offered(site, str(site / "bin/gatepost"), *words) == ["verify-here", "verify-there"]


def test_bash_offers_nothing_for_a_broken_configuration(site: Path) -> None:
    (site / "broken.yaml").write_text("daemons: 1\n")
    assert offered(site, str(site / "bin/gatepost"), "run", "--config", "broken.yaml", "") == []


def test_bash_offers_every_option_of_every_command(site: Path) -> None:
    for words, command in [each for each in walk(commands()) if not each[1].actions][::5]:
        flags = sorted(flag for option in command.options for flag in option.flags)
        assert offered(site, "gatepost", *words.split(), "-") == flags


def test_bash_knows_the_command(site: Path) -> None:
    done = subprocess.run(
        ["bash", "--norc", "-c", "source ./completion; complete -p gatepost"],
        cwd=site,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert (done.stdout, done.stderr) == ("complete -F _gatepost gatepost\n", "")


@pytest.mark.parametrize("shell", [shell for shell in CHECKS if shutil.which(shell)])
def test_the_shell_can_read_it(shell: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "completion"
    file.write_text(script(shell, capsys))
    done = subprocess.run([*CHECKS[shell], str(file)], capture_output=True, text=True, timeout=PATIENCE)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("shell", SHELLS)
def test_nothing_is_left_out(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = script(shell, capsys)
    for words, command in walk(commands()):
        assert words.split()[-1] in text
        for option in command.options:
            long = option.flags[-1]
            assert (f"-l {long.removeprefix('--')} " if shell == "fish" else long) in text
    # Quotes that are opened are closed: no help text ends a string.
    assert text.replace("'\\''", "").replace("\\'", "").count("'") % 2 == 0


def test_daemons(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "gatepost.yaml"
    file.write_text(SETTINGS)
    assert main(["completion", "daemons", "--config", str(file)]) == 0
    assert capsys.readouterr().out == "verify-here\nverify-there\n"
    assert main(["completion", "daemons", "--config", str(tmp_path / "none")]) == 1
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")
