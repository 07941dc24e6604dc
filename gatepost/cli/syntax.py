"""The command line as data, read off the parsers: for shells that complete it, and for the documentation."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from gatepost.cli import COMMANDS, parser_of


class Kind(StrEnum):
    """What an argument, or the value of an option, is."""

    NONE = "none"
    """There is no value."""
    TEXT = "text"
    FILE = "file"
    DIRECTORY = "directory"
    DAEMON = "daemon"
    """The name of a daemon of the configuration."""
    WORD = "word"
    """One of some words."""


@dataclass(frozen=True, slots=True)
class Argument:
    """A positional argument, or an option with its ``flags``.

    ``name`` is what stands for the value, "" for none; ``words`` are those of
    Kind.WORD. ``repeated`` says that it may come again and again.
    """

    name: str
    kind: Kind
    help: str
    flags: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    required: bool = False
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Command:
    """A command, or an action of one; either has ``actions`` or arguments of its own."""

    name: str
    purpose: str
    arguments: tuple[Argument, ...] = ()
    options: tuple[Argument, ...] = ()
    actions: tuple[Command, ...] = ()


def commands() -> list[Command]:
    """All commands, in the order in which --help shows them."""
    return [command_of(name) for name in COMMANDS]


def command_of(name: str) -> Command:
    """The command called *name*, one of ``COMMANDS``."""
    return _command(name, COMMANDS[name], parser_of(name))


def walk(commands: Sequence[Command], above: str = "") -> Iterator[tuple[str, Command]]:
    """Every command and action, with the words that lead to it."""
    for command in commands:
        words = f"{above} {command.name}".strip()
        yield words, command
        yield from walk(command.actions, words)


def _command(name: str, purpose: str, parser: argparse.ArgumentParser) -> Command:
    arguments: list[Argument] = []
    options: list[Argument] = []
    actions: list[Command] = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            purposes = {choice.dest: choice.help or "" for choice in action._choices_actions}
            actions += [_command(key, purposes[key], each) for key, each in action.choices.items()]
        elif action.help is not argparse.SUPPRESS:
            into = options if action.option_strings else arguments
            into.append(_argument(action, parser))
    return Command(name, purpose, tuple(arguments), tuple(options), tuple(actions))


def _argument(action: argparse.Action, parser: argparse.ArgumentParser) -> Argument:
    words = tuple(map(str, action.choices)) if action.choices is not None else ()
    metavar = action.metavar if isinstance(action.metavar, str) else ""
    takes = action.nargs != 0
    name = metavar or ("{" + ",".join(words) + "}" if words else action.dest.upper())
    return Argument(
        name=name if takes else "",
        kind=_kind(action, metavar, words) if takes else Kind.NONE,
        help=parser._get_formatter()._expand_help(action) if action.help else "",
        flags=tuple(action.option_strings),
        words=words,
        required=action.required,
        repeated=action.nargs in ("*", "+"),
    )


def _kind(action: argparse.Action, metavar: str, words: Sequence[str]) -> Kind:
    if words:
        return Kind.WORD
    if metavar == "NAME" and action.dest in ("name", "daemon"):
        return Kind.DAEMON
    if metavar == "DIR":
        return Kind.DIRECTORY
    if "FILE" in metavar or action.type is Path:
        return Kind.FILE
    return Kind.TEXT
