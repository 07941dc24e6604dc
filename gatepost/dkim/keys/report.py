"""Collecting what is wrong with the rules for keys, so that all of it can be told at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from gatepost.config.errors import Problem

MOST_PER_FILE = 20
"""Problems told of one file; a file of the wrong kind has one in every line."""


@dataclass(slots=True)
class Report:
    """Takes the problems of one option and, where it names one, of one file.

    ``option`` is the option's whole name, as ``daemons.dkim-sign.key_table``;
    ``file`` is "" while the configuration file itself is concerned.
    """

    problems: list[Problem]
    option: str
    file: str = ""
    _told: int = field(default=0, init=False)

    def add(self, text: str, line: int = 0, key: str = "") -> None:
        """Note a problem: *text* is one line; *line* counts from 1; *key* is added to the option's name."""
        self._told += 1
        if self._told == MOST_PER_FILE and self.file:
            text += " (further problems of this file are not shown)"
        if self._told <= MOST_PER_FILE or not self.file:
            column = 1 if line else 0
            self.problems.append(Problem(self.file, line, column, self.option + key, text))

    def read(self, path: Path) -> str | None:
        """Give the text of the file at *path*, to which all further problems belong; None if it cannot be read."""
        self.file = str(path)
        try:
            return path.read_bytes().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            self.add("is not text in UTF-8", line=error.object.count(b"\n", 0, error.start) + 1)
        except OSError as error:
            self.add(f"cannot be read: {error.strerror}")
        return None
