"""What holds for every command: help with an example that parses, exit status explained, wrong arguments told."""

from __future__ import annotations

import re
import shlex

import pytest

from gatepost.cli import COMMANDS, main, parser_of
from gatepost.cli.syntax import Command, commands, walk

WITHOUT_REPORT = {"run", "record", "completion", "version"}
"""They print what was asked for, or nothing."""


def help_of(name: str, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as caught:
        main([name, "--help"])
    assert caught.value.code == 0
    return capsys.readouterr().out


def examples(text: str) -> list[list[str]]:
    """The commands of the examples, without redirections, and the shell's part of a line."""
    part = text.partition("\nexample:\n")[2].partition("\n\n")[0]
    found = re.findall(r"^  (gatepost .*)$", part, re.MULTILINE)
    return [shlex.split(re.sub(r"\s[<>]\s.*", "", line)) for line in found]


@pytest.mark.parametrize("name", COMMANDS)
def test_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = help_of(name, capsys)
    purpose = COMMANDS[name]
    assert f"\n{purpose[0].upper()}{purpose[1:]}.\n" in text
    status = " ".join(text.partition("\nexit status: ")[2].split())
    assert status.startswith("0 ")
    assert re.search(r"\b2 wrong arguments", status)
    assert max(map(len, text.partition("\nexit status: ")[2].splitlines())) <= 80


@pytest.mark.parametrize("name", COMMANDS)
def test_examples_parse(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = examples(help_of(name, capsys))
    assert found
    for _, command, *arguments in found:
        assert command == name
        parser_of(name).parse_args(arguments)


def test_a_broken_example_would_be_found(capsys: pytest.CaptureFixture[str]) -> None:
    broken = "\nexample:\n  gatepost spf --no-such < file\n\nexit"
    [[_, name, *arguments]] = examples(broken)
    with pytest.raises(SystemExit):
        parser_of(name).parse_args(arguments)


@pytest.mark.parametrize("name", COMMANDS)
def test_an_unknown_option_is_wrong_usage(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([name, "--no-such-option"])
    assert caught.value.code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"usage: gatepost {name}")


@pytest.mark.parametrize(("words", "command"), list(walk(commands())), ids=str)
def test_every_option_is_explained(words: str, command: Command) -> None:
    assert command.purpose
    for each in (*command.options, *command.arguments):
        assert each.help, f"{words} {each.name or each.flags}"


def test_what_reports_does_so_for_programs_too() -> None:
    for words, command in walk(commands()):
        flags = {flag for option in command.options for flag in option.flags}
        if not command.actions:
            assert ("--json" in flags) != (words in WITHOUT_REPORT), words
