"""YAML text becomes a :class:`~gatepost.config.document.Document`.

It is built from the parser's events and not by ``yaml.compose``, which
recurses in C (a line of "[" ends the process) and lets a later key silently
replace an earlier one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

import yaml

from gatepost.config.document import Document, Items, Keys, Node, Scalar
from gatepost.config.flaws import DocumentError, Flaw, Place, place_at, syntax_flaw
from gatepost.config.words import printable, quoted

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
        raise DocumentError([*builder.flaws, syntax_flaw(error, text)]) from None
    except yaml.YAMLError:
        raise DocumentError([Flaw(Place(1, 1), "not YAML")]) from None
    if builder.flaws:
        raise DocumentError(builder.flaws)
    if root is None or (isinstance(root, Scalar) and root.text is None):
        raise DocumentError([Flaw(Place(1, 1), "nothing is configured here; at least daemons: is needed")])
    if not isinstance(root, Keys):
        raise DocumentError([Flaw(root.place, 'expected lines of "key: value", beginning with a key')])
    return Document(root)


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
