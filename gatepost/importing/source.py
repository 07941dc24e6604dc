"""Other daemons' files as text becomes settings, each with its place."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from typing import NamedTuple

from gatepost.config.words import quoted

ReadFile = Callable[[str], str]
"""Gives the text of the file at a path. Raises UnreadableError."""

_DEEPEST = 5
"""Levels of Include (opendkim.conf(5))."""
_MOST_FILES = 100

_ASSIGNMENT = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)
_VARIABLE = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))")
_LONGEST_VALUE = 65_536


class UnreadableError(Exception):
    """A file cannot be read; the text says why, in one line, without its name."""


class Place(NamedTuple):
    """A line of a file, counted from 1; 0 is the whole file."""

    file: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


class Setting(NamedTuple):
    """One option as it is given: its name as written, and its value, which may be empty."""

    name: str
    value: str
    place: Place


class Flaw(NamedTuple):
    """A line, or a file, that cannot be read; ``text`` says why."""

    place: Place
    text: str


class Source(NamedTuple):
    """What a file holds: its settings in their order, and its flaws."""

    settings: list[Setting]
    flaws: list[Flaw]

    def value(self, name: str) -> Setting | None:
        """The setting that counts for *name*, which is the last; None where it is not given."""
        for setting in reversed(self.settings):
            if setting.name.lower() == name.lower():
                return setting
        return None


def parse_words(text: str, file: str, read: ReadFile) -> Source:
    """Read ``Name value`` lines, ``#`` beginning a comment, as opendkim.conf(5) and opendmarc.conf(5) describe.

    ``Include`` lines are replaced by what *read* gives for them.
    """
    source = Source([], [])
    _read_words(text, file, read, source, depth=0)
    return source


def _read_words(text: str, file: str, read: ReadFile, source: Source, depth: int) -> None:
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split(None, 1)
        if not words:
            continue
        place = Place(file, number)
        setting = Setting(words[0], words[1].rstrip() if len(words) > 1 else "", place)
        if setting.name.lower() != "include":
            source.settings.append(setting)
        elif depth == _DEEPEST or _count_includes(source) >= _MOST_FILES:
            source.flaws.append(Flaw(place, "one file includes another too often: it is left out"))
        else:
            source.settings.append(setting)
            try:
                included = read(setting.value)
            except UnreadableError as error:
                source.flaws.append(Flaw(place, f"{quoted(setting.value)} {error}"))
            else:
                _read_words(included, setting.value, read, source, depth + 1)


def _count_includes(source: Source) -> int:
    return sum(setting.name.lower() == "include" for setting in source.settings)


def parse_equations(text: str, file: str) -> Source:
    """Read ``name = value`` lines, ``#`` beginning a comment, as policyd-spf.conf(5) describes."""
    source = Source([], [])
    for number, line in enumerate(text.splitlines(), 1):
        line = line.partition("#")[0].strip()
        if not line:
            continue
        place = Place(file, number)
        name, equals, value = (part.strip() for part in line.partition("="))
        if not equals or not name:
            source.flaws.append(Flaw(place, f'{quoted(line)} is not of the form "name = value"'))
        else:
            source.settings.append(Setting(name, value, place))
    return source


def parse_shell(text: str, file: str) -> Source:
    """Read assignments as in /etc/default, with quotes and variables of the same file, and no other expansion."""
    source = Source([], [])
    known: dict[str, str] = {}
    for number, line in _logical_lines(text):
        place = Place(file, number)
        found = _ASSIGNMENT.fullmatch(line.strip())
        if found is None:
            if line.strip() and not line.lstrip().startswith("#"):
                source.flaws.append(Flaw(place, f"{quoted(line.strip())} is not of the form NAME=value"))
            continue
        try:
            value = " ".join(shlex.split(_expanded(found[2], known), comments=True))
        except ValueError:
            source.flaws.append(Flaw(place, "a quotation mark is opened and never closed"))
            continue
        known[found[1]] = value
        source.settings.append(Setting(found[1], value, place))
    return source


def _logical_lines(text: str) -> list[tuple[int, str]]:
    """The lines with their numbers, those that end in a backslash joined to the next."""
    lines: list[tuple[int, str]] = []
    continued = False
    for number, line in enumerate(text.splitlines(), 1):
        if continued:
            first, before = lines.pop()
            lines.append((first, before[:-1] + line) if len(before) < _LONGEST_VALUE else (number, line))
        else:
            lines.append((number, line))
        continued = line.endswith("\\") and not line.lstrip().startswith("#")
    return lines


def _expanded(text: str, known: dict[str, str]) -> str:
    """*text* with the variables in *known* put in; others are left as they are."""
    if text.startswith("'"):
        return text
    expanded = _VARIABLE.sub(lambda match: known.get(match[1] or match[2], match[0]), text)
    return expanded if len(expanded) <= _LONGEST_VALUE else text


def is_shell(text: str) -> bool:
    """Whether *text* is a file of assignments, as those in /etc/default, and not a configuration."""
    lines = [line.strip() for line in text.splitlines()]
    telling = [line for line in lines if line and not line.startswith("#")]
    return bool(telling) and all(_ASSIGNMENT.fullmatch(line) for line in telling)
