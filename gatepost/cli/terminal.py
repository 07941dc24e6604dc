"""Writing for people: colour where it can be shown, columns that line up."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Mapping, Sequence
from typing import TextIO

_CODES = {"bold": "1", "red": "31", "yellow": "33"}


def has_colour(stream: TextIO, environment: Mapping[str, str] | None = None) -> bool:
    """Whether *stream* shows colour and the user wants it (https://no-color.org)."""
    environment = os.environ if environment is None else environment
    if environment.get("NO_COLOR") or environment.get("TERM") == "dumb":
        return False
    return stream.isatty()


def styled(text: str, style: str, stream: TextIO) -> str:
    """Give *text* in *style* (bold, red or yellow), or as it is where *stream* shows no colour."""
    return f"\x1b[{_CODES[style]}m{text}\x1b[0m" if has_colour(stream) else text


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Give *rows* as lines with their columns lined up, two spaces between them."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def visible(text: str) -> str:
    """Give *text* with an escape for each character that a terminal does not just show."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text
    )


def wrapped(text: str, first: str = "", rest: str | None = None) -> list[str]:
    """Give *text* as lines of 80 columns: *first* in front of the first, *rest* (none given: blanks) of others."""
    rest = " " * len(first) if rest is None else rest
    return textwrap.wrap(
        text, 80, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )
