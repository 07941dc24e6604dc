"""What can be wrong with the YAML of a file, in plain words and with its place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import yaml

from gatepost.config.words import printable, quoted


class Place(NamedTuple):
    """Line and column, both from 1."""

    line: int
    column: int


class Flaw(NamedTuple):
    """Something wrong with the YAML itself."""

    place: Place
    text: str


class DocumentError(Exception):
    """The text is not the YAML that a configuration may be; ``flaws`` says why, in the text's order."""

    def __init__(self, flaws: Sequence[Flaw]) -> None:
        super().__init__(flaws)
        self.flaws = tuple(flaws)


def place_at(text: str, offset: int) -> Place:
    """Line and column of the character at *offset*."""
    line_start = text.rfind("\n", 0, offset) + 1
    return Place(text.count("\n", 0, offset) + 1, offset - line_start + 1)


_UNCLOSED = {"while parsing a flow sequence": "the list", "while parsing a flow mapping": "the section"}

_SYNTAX = {
    "mapping values are not allowed in this context": 'a ":" too many, or indented too far'
    ' (a value with ": " in it has to stand in quotes)',
    "block sequence entries are not allowed in this context": 'a "- " cannot stand in the line of its key;'
    " begin a new line",
    "did not find expected key": "expected a key here, indented as those before it"
    " (after a value in quotes nothing may follow)",
    "could not find expected ':'": 'a ":" is missing before here, as in "key: value"',
    "did not find expected '-' indicator": 'expected a "-" here, as in the list above',
    "did not find expected ',' or ']'": 'a "," or the closing "]" is missing before here',
    "did not find expected ',' or '}'": 'a "," or the closing "}" is missing before here',
    "did not find expected node content": "expected a value here (one that begins with a"
    " sign such as : [ ] { } has to stand in quotes)",
    "found unexpected end of stream": "a quotation mark is opened and never closed",
    "found unexpected document indicator": "a quotation mark is opened and never closed",
    "did not find expected alphabetic or numeric character": "a value that begins with"
    ' "*" or "&" has to stand in quotes',
    "found unknown escape character": 'a "\\" in double quotes begins an escape; use single quotes',
    "found a tab character where an indentation space is expected": "a tab; indent with spaces",
}


def syntax_flaw(error: yaml.MarkedYAMLError, text: str) -> Flaw:
    """Say in plain words what the parser could not read."""
    mark = error.problem_mark or error.context_mark
    place = Place(mark.line + 1, mark.column + 1) if mark else Place(1, 1)
    problem = error.problem or "not YAML"
    if problem == "found character that cannot start any token":
        lines = text.split("\n", place.line)
        char = lines[place.line - 1][place.column - 1 : place.column] if len(lines) >= place.line else ""
        if char == "\t":
            return Flaw(place, "a tab; indent with spaces")
        return Flaw(place, f"a value that begins with {quoted(char)} has to stand in quotes")
    if problem.endswith("unexpected end of stream") and error.context_mark:
        place = Place(error.context_mark.line + 1, error.context_mark.column + 1)
    said = _SYNTAX.get(problem, f"not YAML: {printable(problem)}")
    if error.context in _UNCLOSED and error.context_mark:
        said += f" ({_UNCLOSED[error.context]} begins in line {error.context_mark.line + 1})"
    return Flaw(place, said)
