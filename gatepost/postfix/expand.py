"""Values of main.cf with their ``$name`` replaced (postconf(5), "The general format of the main.cf file")."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import Any

from gatepost.postfix.text import balanced_end

_NAME = re.compile(r"[A-Za-z0-9_]+")
_COMPARISON = re.compile(r"\s*(==|!=|<=|>=|<|>)(level|)\s*")
_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq, "!=": operator.ne, "<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt,
}  # fmt: skip
_MOST = 10_000


def expand(text: str, lookup: Callable[[str], str]) -> str:
    """*text* with ``$name``, ``${name}``, ``${name?…}``, ``${name:…}``, ``${{a} == {b} ? {…} : {…}}`` replaced.

    *lookup* gives a parameter as it is written, "" for one that is not there. What refers to itself ends in
    "" rather than never.
    """
    return _Expansion(lookup).text(text, 0)


class _Expansion:
    def __init__(self, lookup: Callable[[str], str]) -> None:
        self._lookup = lookup
        self._left = _MOST

    def text(self, text: str, depth: int) -> str:
        done = []
        position = 0
        while (dollar := text.find("$", position)) >= 0:
            done.append(text[position:dollar])
            following = text[dollar + 1 : dollar + 2]
            if following in ("{", "("):
                end = balanced_end(text, dollar + 1)
                done.append(self._bracketed(text[dollar + 2 : end].strip(), depth))
                position = end + 1
            elif match := _NAME.match(text, dollar + 1):
                done.append(self._value(match[0], depth))
                position = match.end()
            else:
                # "$$" is a "$"; one alone stays.
                done.append("$")
                position = dollar + (2 if following == "$" else 1)
        done.append(text[position:])
        return "".join(done)

    def _value(self, name: str, depth: int) -> str:
        self._left -= 1
        if depth > 50 or self._left < 0:
            return ""
        return self.text(self._lookup(name), depth + 1)

    def _bracketed(self, inside: str, depth: int) -> str:
        if inside.startswith("{"):
            return self._conditional(inside, depth)
        match = _NAME.match(inside)
        if not match:
            return ""
        rest = inside[match.end() :].strip()
        value = self._value(match[0], depth)
        if not rest:
            return value
        return self.text(_branch(rest, bool(value)), depth + 1)

    def _conditional(self, inside: str, depth: int) -> str:
        end = balanced_end(inside, 0)
        left = self.text(inside[1:end].strip(), depth + 1)
        comparison = _COMPARISON.match(inside, end + 1)
        if comparison is None or not inside.startswith("{", comparison.end()):
            return self.text(_branch(inside[end + 1 :].strip(), bool(left)), depth + 1)
        start = comparison.end()
        end = balanced_end(inside, start)
        right = self.text(inside[start + 1 : end].strip(), depth + 1)
        holds = _OPERATORS[comparison[1]](*_comparable(left, right, level=bool(comparison[2])))
        return self.text(_branch(inside[end + 1 :].strip(), holds), depth + 1)


def _branch(rest: str, holds: bool) -> str:
    """The one of ``?{yes}:{no}`` that counts; either may be missing, and "yes" alone may be without braces."""
    branches = {"?": "", ":": ""}
    while rest[:1] in branches and rest:
        sign, rest = rest[0], rest[1:].lstrip()
        if rest.startswith("{"):
            end = balanced_end(rest, 0)
            branches[sign] = rest[1:end].strip()
            rest = rest[end + 1 :].lstrip()
        else:
            branches[sign], rest = rest, ""
    return branches["?" if holds else ":"]


def _comparable(left: str, right: str, *, level: bool) -> tuple[object, object]:
    if level:
        return _level(left), _level(right)
    if left.isdigit() and right.isdigit():
        return int(left), int(right)
    return left, right


def _level(text: str) -> tuple[int, ...]:
    """A compatibility level, ``3.6`` or ``2``, for comparing."""
    numbers = [int(part) for part in text.split(".") if part.isdigit()]
    return tuple([*numbers, 0, 0, 0][:3])
