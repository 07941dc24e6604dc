"""What is wrong with a configuration, and where."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Problem(NamedTuple):
    """One thing that is wrong, told to the administrator.

    ``line`` and ``column`` count from 1; 0 is "no particular place". ``key`` is
    the option as ``daemons.dkim-sign.keys[2].file``, list items counted from
    1, or "" where no option is concerned. ``text`` is one line. ``file`` may
    be "" where ``key`` says enough to find the place (``Loaded.locate``).
    """

    file: str
    line: int
    column: int
    key: str
    text: str

    def __str__(self) -> str:
        place = self.file
        if self.line:
            place += f":{self.line}:{self.column}"
        return ": ".join(part for part in (place, self.key, self.text) if part)


class ConfigError(Exception):
    """The configuration cannot be used. ``problems`` holds everything that was found, in the file's order."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(problems)
        self.problems = tuple(problems)

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems))
