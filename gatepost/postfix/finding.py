"""What there is to say about a Postfix configuration."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from gatepost.postfix.instance import Service


class Level(StrEnum):
    """How bad it is: it does not do what it is there for, or opens a door; it is weaker than it looks; a thought."""

    ERROR = "error"
    WARNING = "warning"
    HINT = "hint"


class Finding(NamedTuple):
    """One thing, in one line.

    ``place`` is the service of master.cf (``smtpd/pass``), the parameter, or
    the option of our own file that it concerns; ``mend`` what to write or run,
    "" where that cannot be said.
    """

    level: Level
    place: str
    text: str
    mend: str = ""

    def __str__(self) -> str:
        return f"{self.place}: {self.text}" + (f"; mend: {self.mend}" if self.mend else "")


def error(place: object, text: str, mend: str = "") -> Finding:
    """Something that does not do what it is there for, or opens a door."""
    return Finding(Level.ERROR, str(place), text, mend)


def warning(place: object, text: str, mend: str = "") -> Finding:
    """Something that is weaker than it looks."""
    return Finding(Level.WARNING, str(place), text, mend)


def hint(place: object, text: str, mend: str = "") -> Finding:
    """Something that could be better."""
    return Finding(Level.HINT, str(place), text, mend)


def in_main(name: str, value: str) -> str:
    """The command that sets a parameter in main.cf."""
    return f"postconf -e '{name} = {value}'"


def in_service(service: Service, name: str, values: str | Sequence[str]) -> str:
    """The command that sets a parameter of *service* in master.cf."""
    value = values if isinstance(values, str) else ", ".join(values)
    return f"postconf -P '{service}/{name} = {value}'"
