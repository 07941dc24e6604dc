"""Regular expressions of an allow list, and how long one may take.

The text they are tried on is a stranger's. Only expressions whose work is
bounded beforehand are taken: repetition of single characters, classes and
fixed groups, without look-around and back-references, and not too much of it.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from math import comb

LONGEST_TEXT = 320
"""Characters of the longest text that is looked at; a longer one does not match."""

MOST_STEPS = 12_000_000
"""Ways to try an expression on the longest text; fewer than one a nanosecond and never near it in practice."""

_LONGEST_PATTERN = 1000
_QUANTIFIER = re.compile(r"(?:[*+?]|\{(?=[0-9,])([0-9]*+)(,?)([0-9]*+)\})[?+]?")
_CLASS = re.compile(r"\[\^?\]?(?:[^\]\\]|\\.)*\]", re.DOTALL)


class PatternError(ValueError):
    """The expression cannot be used. The text says why, in one line, without the expression."""


def compile_pattern(text: str) -> Callable[[str], bool]:
    """Make a test out of an expression, which is searched for, without regard to case. Raises PatternError."""
    if len(text) > _LONGEST_PATTERN:
        raise PatternError(f"longer than {_LONGEST_PATTERN} characters")
    try:
        with warnings.catch_warnings():
            # What Python may take for nested sets one day, postgrey does not.
            warnings.simplefilter("ignore", FutureWarning)
            search = re.compile(text, re.IGNORECASE | re.ASCII).search
    except (re.error, OverflowError, RecursionError) as error:
        raise PatternError(f"not a regular expression: {error}") from None
    if steps(text) > MOST_STEPS:
        raise PatternError("could take too long on some names: it repeats too much")
    return lambda subject: len(subject) <= LONGEST_TEXT and search(subject) is not None


@dataclass(slots=True)
class _Frame:
    """A group that is open. ``fixed`` says that it matches in one way only."""

    fixed: bool = True
    branches: int = 1
    ways: int = 1
    loops: int = 0


def steps(text: str) -> int:
    """An upper bound on the ways to match the (valid) expression *text* against the longest text.

    Raises PatternError for what has no bound, or none that is known here.
    """
    frames = [_Frame()]
    position = 0
    while position < len(text):
        char = text[position]
        frame = frames[-1]
        closed: _Frame | None = None
        if char == "(":
            position = _open(text, position)
            frames.append(_Frame())
            continue
        if char == "|":
            frame.branches += 1
            frame.fixed = False
            position += 1
            continue
        if char == ")":
            closed = frames.pop()
            frame = frames[-1]
            frame.ways *= closed.ways * closed.branches
            frame.loops += closed.loops
            frame.fixed = frame.fixed and closed.fixed
            position += 1
        elif char == "[":
            position = _after_class(text, position)
        elif char == "\\":
            if text[position + 1].isdigit() and text[position + 1] != "0":
                raise PatternError("back-references are not supported")
            position += 2
        else:
            position += 1
        quantifier = _QUANTIFIER.match(text, position)
        if quantifier:
            position = quantifier.end()
            _repeat(frame, closed, quantifier)
    whole = frames[0]
    # Without ^ before all branches, it is tried from every character.
    loops = whole.loops + (whole.branches > 1 or not text.startswith("^"))
    return comb(LONGEST_TEXT + loops, loops) * whole.ways * whole.branches


def _open(text: str, position: int) -> int:
    """The position behind the opening of a group."""
    if not text.startswith("(?", position):
        return position + 1
    if text.startswith("(?:", position):
        return position + 3
    raise PatternError("of the groups that begin with (?, only (?: is supported")


def _after_class(text: str, position: int) -> int:
    found = _CLASS.match(text, position)
    if found is None:
        raise PatternError("a [ without its ]")
    return found.end()


def _repeat(frame: _Frame, group: _Frame | None, quantifier: re.Match[str]) -> None:
    """Take note of a quantifier, and what it does to the ways to match."""
    sign = quantifier[0][0]
    if sign == "?":
        frame.ways *= 2
        frame.fixed = False
        return
    if group is not None and not group.fixed:
        raise PatternError("could take too long on some names: a repetition or choice inside a repetition")
    if sign == "{":
        least = int(quantifier[1] or 0)
        most = least if not quantifier[2] else int(quantifier[3]) if quantifier[3] else None
        if most is not None:
            frame.ways *= max(1, most - least + 1)
            frame.fixed = frame.fixed and most == least
            return
    frame.loops += 1
    frame.fixed = False
