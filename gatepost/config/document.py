"""The configuration file as a tree that knows where each thing stands.

Scalars stay the text that was written: what it means, its option says. So
YAML 1.1's surprises cannot happen (``0660`` is not 432, ``no`` is not false
where a name is asked for, ``12:30`` is not 750, ``2024-01-01`` is a selector
like any other).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from gatepost.config.flaws import Place
from gatepost.config.words import printable

Path = tuple[str | int, ...]
"""The way to a value from the top of the file: keys, and the positions of list items (from 0)."""


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
