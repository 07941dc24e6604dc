"""Texts that a regular expression may take long to refuse, made from the expression itself.

An expression takes more than linear time where a repetition can share out one
stretch of text in several ways, and what follows it fails. So for each
repetition there is text that leads up to it, a stretch that it and its
neighbours take, and an end that nothing takes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

# The names of its parts are the compiler's own (re._constants).
_parser: Any = vars(re)["_parser"]
_REPEATS = ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT")
_CANDIDATES = 'a0 -.;:=@<("\\\t\nZ_/%{[,+\x00\x85\xff'
_ENDS = ("", "\x00", "\x00!", " ", "a\n", ")", '"')
_MOST_PUMPS = 24


def attacks(pattern: re.Pattern[Any], length: int) -> Iterator[Any]:
    """Texts of about *length* characters (or octets) for *pattern*."""
    tree = _parser.parse(pattern.pattern, pattern.flags & ~re.DEBUG)
    found: list[tuple[str, str]] = []
    _walk(list(tree), "", found)
    pumps = list(dict.fromkeys(pump for _, pump in found))[:_MOST_PUMPS]
    seen = set()
    for lead in dict.fromkeys(["", *(lead for lead, _ in found)]):
        for pump in pumps:
            for end in _ENDS:
                text = lead + pump * (length // len(pump)) + end
                if text not in seen:
                    seen.add(text)
                    yield text.encode("latin-1", "replace") if isinstance(pattern.pattern, bytes) else text


def _walk(nodes: Sequence[Any], lead: str, found: list[tuple[str, str]]) -> str:
    """Note what leads to each repetition, and what it repeats; gives a text that all *nodes* match."""
    bodies: list[str] = []
    for operation, argument in nodes:
        name = str(operation)
        if name in _REPEATS:
            least, most, body = argument
            samples = [sample for sample in _samples(list(body)) if sample]
            if int(most) > 16 and samples:
                bodies += samples
                found += [(lead, sample) for sample in samples]
                # Neighbours that can share out a stretch between them.
                found += [(lead, one + other) for one in bodies[-6:] for other in samples]
            _walk(list(body), lead, found)
            lead += _first(list(body)) * int(least)
        elif name == "BRANCH":
            for branch in argument[1]:
                _walk(list(branch), lead, found)
            lead += _first(list(argument[1][0]))
        elif name in ("SUBPATTERN", "ATOMIC_GROUP"):
            lead = _walk(list(argument[-1] if name == "SUBPATTERN" else argument), lead, found)
        elif not name.startswith("ASSERT"):
            lead += _first([(operation, argument)])
    return lead


def _first(nodes: Sequence[Any]) -> str:
    """One text that *nodes* match, repetitions as short as they may be but once at least."""
    return next(iter(_samples(nodes)), "")


def _samples(nodes: Sequence[Any]) -> list[str]:
    """A few texts that *nodes* match."""
    samples = [""]
    for operation, argument in nodes:
        options = _options(str(operation), argument)[:3]
        if options:
            samples = [sample + option for sample in samples for option in options][:6]
    return samples


def _options(name: str, argument: Any) -> list[str]:
    if name == "LITERAL":
        return [chr(argument)]
    if name == "NOT_LITERAL":
        return [char for char in _CANDIDATES if char != chr(argument)]
    if name == "ANY":
        return ["a", "(", "\\"]
    if name == "IN":
        return [char for char in _CANDIDATES if _is_in(char, argument)] or [_member(argument)]
    if name == "BRANCH":
        return [sample for branch in argument[1] for sample in _samples(list(branch))[:2]][:6]
    if name in ("SUBPATTERN", "ATOMIC_GROUP"):
        return _samples(list(argument[-1] if name == "SUBPATTERN" else argument))
    if name in _REPEATS:
        return [sample * max(int(argument[0]), 1) for sample in _samples(list(argument[2]))]
    return []


def _is_in(char: str, items: Any) -> bool:
    code, negated, inside = ord(char), False, False
    for operation, argument in items:
        match str(operation):
            case "NEGATE":
                negated = True
            case "LITERAL":
                inside = inside or code == argument
            case "RANGE":
                inside = inside or argument[0] <= code <= argument[1]
            case "CATEGORY":
                shorthand = {"DIGIT": r"\d", "SPACE": r"\s", "WORD": r"\w"}
                kind = str(argument).removeprefix("CATEGORY_").removeprefix("UNI_")
                inverse = kind.startswith("NOT_")
                matches = re.match(shorthand[kind.removeprefix("NOT_")], char) is not None
                inside = inside or matches != inverse
    return inside != negated


def _member(items: Any) -> str:
    """The first character that a class names."""
    for operation, argument in items:
        if str(operation) == "LITERAL":
            return chr(argument)
        if str(operation) == "RANGE":
            return chr(argument[0])
    return ""
