"""YAML text as a tree that knows where each thing stands.

Scalars stay the text that was written: what it means, its option says. So
YAML 1.1's surprises cannot happen (``0660`` is not 432, ``no`` is not false
where a name is asked for, ``12:30`` is not 750, ``2024-01-01`` is a selector
like any other).

The tree is built from the parser's events and not by ``yaml.compose``, which
recurses in C (a line of "[" ends the process) and lets a later key silently
replace an earlier one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import yaml

from gatepost.config.words import printable, quoted

LONGEST_FILE = 16 * 1024 * 1024
"""Octets of the largest file that is read."""

_DEEPEST = 32
_MOST_REPEATED = 10_000
"""How many values aliases may repeat, all together."""

_LOADER: type[yaml.CSafeLoader | yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_TAGS = {f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "seq", "map")} | {
    "!"
}
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})

# What YAML does not allow to stand in a stream (YAML 1.1 §4.1.1); found here because here its place is known.
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

Path = tuple[str | int, ...]
"""The way to a value from the top of the file: keys, and the positions of list items (from 0)."""


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


@dataclass(slots=True)
class Scalar:
    """A single value as it was written; None is no value (nothing, ``~`` or ``null``)."""

    place: Place
    text: str | None
    size: int = 1


@dataclass(slots=True)
class Items:
    """A list. ``size`` counts all values in it, repetitions included."""

    place: Place
    items: list[Node] = field(default_factory=list)
    size: int = 1


@dataclass(slots=True)
class Keys:
    """A mapping: to each key the place where it stands, and its value."""

    place: Place
    entries: dict[str, tuple[Place, Node]] = field(default_factory=dict)
    size: int = 1


Node = Scalar | Items | Keys


class Document:
    """A whole file."""

    def __init__(self, root: Keys) -> None:
        self.root = root

    def values(self) -> dict[str, object]:
        """The plain values: dict, list, str and None. What an alias repeats is one and the same object."""
        values = _values(self.root, {})
        assert isinstance(values, dict)
        return values

    def locate(self, path: Path) -> tuple[Place, str]:
        """Give the place of the key or item at *path*, and its name.

        The place is that of the nearest thing around it where it is not
        written. A single value may stand for a list of one: its name has no
        number then, though *path* has.
        """
        node: Node | None = self.root
        place = Place(1, 1)
        name = ""
        for step in path:
            if isinstance(step, str):
                name = f"{name}.{printable(step)}" if name else printable(step)
                entry = node.entries.get(step) if isinstance(node, Keys) else None
                place, node = entry or (place, None)
            elif isinstance(node, Items):
                name += f"[{step + 1}]"
                node = node.items[step] if step < len(node.items) else None
                place = node.place if node else place
        return place, name

    def place(self, name: str) -> Place:
        """Give the place of what ``locate`` gives this name; of the nearest thing around it where there is none."""
        node: Node = self.root
        place = Place(1, 1)
        while name:
            if isinstance(node, Keys):
                # The longest, as a key may have a dot in it.
                fitting = [
                    key for key in node.entries if re.match(re.escape(printable(key)) + r"(?=[.[]|$)", name)
                ]
                if not fitting:
                    break
                key = max(fitting, key=len)
                place, node = node.entries[key]
                name = name[len(printable(key)) :].removeprefix(".")
            else:
                number = re.match(r"\[([0-9]{1,9})\]\.?", name)
                if number is None:
                    break
                name = name[number.end() :]
                if isinstance(node, Items) and 0 < int(number[1]) <= len(node.items):
                    node = node.items[int(number[1]) - 1]
                    place = node.place
        return place


def parse(text: str) -> Document:
    """Read *text*. Raises DocumentError."""
    bad = _UNPRINTABLE.search(text)
    if bad:
        place = place_at(text, bad.start())
        raise DocumentError([Flaw(place, f"the character {printable(bad[0])} cannot stand in a text file")])
    builder = _Builder()
    try:
        root = builder.build(yaml.parse(text, Loader=_LOADER))
    except yaml.MarkedYAMLError as error:
        raise DocumentError([*builder.flaws, _syntax(error, text)]) from None
    except yaml.YAMLError:
        raise DocumentError([Flaw(Place(1, 1), "not YAML")]) from None
    if builder.flaws:
        raise DocumentError(builder.flaws)
    if root is None or (isinstance(root, Scalar) and root.text is None):
        raise DocumentError([Flaw(Place(1, 1), "nothing is configured here; at least daemons: is needed")])
    if not isinstance(root, Keys):
        raise DocumentError([Flaw(root.place, 'expected lines of "key: value", beginning with a key')])
    return Document(root)


def place_at(text: str, offset: int) -> Place:
    """Line and column of the character at *offset*."""
    line_start = text.rfind("\n", 0, offset) + 1
    return Place(text.count("\n", 0, offset) + 1, offset - line_start + 1)


def _values(node: Node, done: dict[int, object]) -> object:
    if isinstance(node, Scalar):
        return node.text
    values = done.get(id(node))
    if values is None:
        if isinstance(node, Items):
            values = [_values(item, done) for item in node.items]
        else:
            values = {key: _values(value, done) for key, (_, value) in node.entries.items()}
        done[id(node)] = values
    return values


@dataclass(slots=True)
class _Frame:
    """A list or mapping that is still open."""

    node: Items | Keys
    anchor: str | None
    key: str | None = None
    key_place: Place | None = None
    awaits_value: bool = False
    merged: list[Node] = field(default_factory=list)


class _Builder:
    """Builds the tree from events; ``flaws`` gathers what is wrong and does not keep it from going on."""

    def __init__(self) -> None:
        self.flaws: list[Flaw] = []
        self._open: list[_Frame] = []
        self._anchors: dict[str, Node] = {}
        self._repeated = 0

    def build(self, events: Iterable[yaml.Event]) -> Node | None:
        """Take all events of one document and give its root; None for an empty stream."""
        root: Node | None = None
        for event in events:
            mark = event.start_mark
            place = Place(mark.line + 1, mark.column + 1) if mark else Place(1, 1)
            node: Node | None = None
            if isinstance(event, yaml.ScalarEvent):
                node = self._scalar(event, place)
            elif isinstance(event, yaml.AliasEvent):
                node = self._alias(event.anchor or "", place)
            elif isinstance(event, yaml.CollectionStartEvent):
                self._begin(event, place)
            elif isinstance(event, yaml.CollectionEndEvent):
                node = self._end()
            elif isinstance(event, yaml.DocumentStartEvent) and root is not None:
                raise DocumentError(
                    [*self.flaws, Flaw(place, 'a second document ("---") begins here; one is all')]
                )
            if node is None:
                continue
            if self._open:
                self._put(node)
            else:
                root = node
        return root

    def _scalar(self, event: yaml.ScalarEvent, place: Place) -> Node | None:
        plain = event.implicit[0]
        frame = self._open[-1] if self._open else None
        if frame and isinstance(frame.node, Keys) and not frame.awaits_value:
            # YAML's merge key is the plain word alone; "<<" in quotes would be an option of that name.
            self._key(frame, "<<" if plain and event.value == "<<" else event.value, place)
            if event.anchor:
                self._anchors[event.anchor] = Scalar(place, event.value)
            return None
        self._check_tag(event.tag, place)
        node = Scalar(place, None if plain and event.value in _NULLS else event.value)
        if event.anchor:
            self._anchors[event.anchor] = node
        return node

    def _alias(self, name: str, place: Place) -> Node | None:
        if any(frame.anchor == name for frame in self._open):
            raise DocumentError(
                [*self.flaws, Flaw(place, f"*{printable(name)} stands inside &{printable(name)}")]
            )
        node = self._anchors.get(name)
        if node is None:
            text = (
                f'there is no &{printable(name)} above; a value that begins with "*" has to stand in quotes'
            )
            self.flaws.append(Flaw(place, text))
            node = Scalar(place, None)
        self._repeated += node.size
        if self._repeated > _MOST_REPEATED:
            text = f"aliases repeat more than {_MOST_REPEATED} values up to here; write less of it"
            raise DocumentError([*self.flaws, Flaw(place, text)])
        frame = self._open[-1] if self._open else None
        if frame and isinstance(frame.node, Keys) and not frame.awaits_value:
            if isinstance(node, Scalar) and node.text is not None:
                self._key(frame, node.text, place)
            else:
                self.flaws.append(Flaw(place, "expected a key here, one word"))
                self._key(frame, None, place)
            return None
        return node

    def _begin(self, event: yaml.CollectionStartEvent, place: Place) -> None:
        self._check_tag(event.tag, place)
        if len(self._open) == _DEEPEST:
            raise DocumentError([*self.flaws, Flaw(place, "nested too deeply")])
        node = Items(place) if isinstance(event, yaml.SequenceStartEvent) else Keys(place)
        self._open.append(_Frame(node, event.anchor))

    def _end(self) -> Node | None:
        frame = self._open.pop()
        node = frame.node
        if isinstance(node, Keys):
            for source in frame.merged:
                self._merge(node, source)
        if frame.anchor:
            self._anchors[frame.anchor] = node
        parent = self._open[-1] if self._open else None
        if parent and isinstance(parent.node, Keys) and not parent.awaits_value:
            self.flaws.append(Flaw(node.place, "expected a key here, one word"))
            self._key(parent, None, node.place)
            return None
        return node

    def _key(self, frame: _Frame, key: str | None, place: Place) -> None:
        assert isinstance(frame.node, Keys)
        if key is not None and key in frame.node.entries:
            first = frame.node.entries[key][0]
            self.flaws.append(
                Flaw(place, f"{quoted(key)} stands here a second time, after line {first.line}")
            )
            key = None
        frame.key, frame.key_place, frame.awaits_value = key, place, True

    def _put(self, node: Node) -> None:
        frame = self._open[-1]
        frame.node.size += node.size
        if isinstance(frame.node, Items):
            frame.node.items.append(node)
            return
        if frame.key == "<<":
            frame.merged += node.items if isinstance(node, Items) else [node]
        elif frame.key is not None:
            frame.node.entries[frame.key] = (frame.key_place or node.place, node)
        frame.awaits_value = False

    def _merge(self, node: Keys, source: Node) -> None:
        if not isinstance(source, Keys):
            self.flaws.append(
                Flaw(source.place, '"<<" takes over a section: expected an alias such as *common')
            )
            return
        for key, entry in source.entries.items():
            node.entries.setdefault(key, entry)

    def _check_tag(self, tag: str | None, place: Place) -> None:
        if tag is not None and tag not in _TAGS:
            shown = tag.replace("tag:yaml.org,2002:", "!!")
            text = f'{quoted(shown)} means nothing here; a value that begins with "!" has to stand in quotes'
            self.flaws.append(Flaw(place, text))


_SYNTAX = {
    "mapping values are not allowed in this context": 'a ":" too many, or indented too far'
    ' (a value with ": " in it has to stand in quotes)',
    "block sequence entries are not allowed in this context": 'a "- " cannot stand in the line of its key;'
    " begin a new line",
    "did not find expected key": "expected a key here, indented as those before it"
    " (after a value in quotes nothing may follow)",
    "could not find expected ':'": 'a ":" is missing before here, as in "key: value"',
    "did not find expected '-' indicator": 'expected a "-" here, as in the list above',
    "did not find expected ',' or ']'": 'a "," or the closing "]" of a list is missing before here',
    "did not find expected ',' or '}'": 'a "," or the closing "}" is missing before here',
    "did not find expected node content": "expected a value here (one that begins with a"
    " sign such as : [ ] { } has to stand in quotes)",
    "found unexpected end of stream": "a quotation mark is opened and never closed",
    "found unexpected document indicator": "a quotation mark is opened and never closed",
    "found unknown escape character": 'a "\\" in double quotes begins an escape; use single quotes',
    "found a tab character where an indentation space is expected": "a tab; indent with spaces",
}


def _syntax(error: yaml.MarkedYAMLError, text: str) -> Flaw:
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
    return Flaw(place, _SYNTAX.get(problem, f"not YAML: {printable(problem)}"))
