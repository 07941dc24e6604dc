"""Putting things that somebody typed into a sentence."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_LONGEST_SHOWN = 60


def printable(text: str) -> str:
    """Give *text* fit for one line: nothing that is not printable, and not too much of it."""
    if len(text) > _LONGEST_SHOWN:
        text = text[: _LONGEST_SHOWN - 3] + "..."
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text
    )


def quoted(text: str) -> str:
    """Give *text* in quotation marks, fit for one line."""
    return f'"{printable(text)}"'


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The one of *known* that *word* most likely meant, or None. Case, "-" and "_" do not count."""
    if len(word) > _LONGEST_SHOWN:
        return None
    by_plain = {_plain(name): name for name in known}
    found = difflib.get_close_matches(_plain(word), by_plain, n=1)
    return by_plain[found[0]] if found else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Give `` (did you mean "…"?)``, or "" where nothing is near."""
    guess = nearest(word, known)
    return f' (did you mean "{guess}"?)' if guess else ""


def listed(words: Iterable[str], conjunction: str) -> str:
    """Give "a, b or c" (with *conjunction* "or")."""
    *others, last = words
    return f"{', '.join(others)} {conjunction} {last}" if others else last


def _plain(word: str) -> str:
    return word.lower().replace("-", "").replace("_", "")
