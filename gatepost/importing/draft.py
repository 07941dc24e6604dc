"""What an import makes: the sections of a configuration, and an account of every line that was read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from gatepost.importing.source import Place

Plain = str | int | bool | None | Sequence["Plain"] | dict[str, "Plain"]
"""A value as YAML knows them."""


class Sort(StrEnum):
    """What a remark is about."""

    CARRIED = "carried over"
    SAME = "nothing lost"
    """What the line asks for is so here anyway, or the line switches something off."""
    LEFT_OUT = "no meaning here"
    UNSUPPORTED = "not supported"
    DIFFERENT = "different"
    """Works otherwise than before, though nothing was said about it or a near value was taken."""
    TO_DO = "to do"
    """Something outside the configuration has to change."""
    UNKNOWN = "unknown"
    FLAW = "cannot be read"


TROUBLE = frozenset({Sort.UNKNOWN, Sort.FLAW})
"""Remarks about what was not understood."""


class Remark(NamedTuple):
    """What became of one line. ``option`` is its name as written, "" where no single one is meant."""

    sort: Sort
    place: Place
    option: str
    text: str

    def __str__(self) -> str:
        return ": ".join(part for part in (str(self.place), self.option, self.text) if part)


class Option(NamedTuple):
    """An option of ours: its value, and where it comes from ("" for nowhere in particular)."""

    value: Plain
    origin: str


_FIRST = ("mode", "socket", "user", "group")
"""Options that stand on top."""

Section = dict[str, Option]
"""Options by name, in the order in which they are written."""


@dataclass
class Draft:
    """The result. ``common`` has dotted names for options in sections (``dns.timeout``)."""

    common: Section = field(default_factory=dict)
    daemons: dict[str, Section] = field(default_factory=dict)
    remarks: list[Remark] = field(default_factory=list)
    _said: set[Remark] = field(default_factory=set, repr=False)

    def remark(self, sort: Sort, place: Place, option: str, text: str) -> None:
        """Add a remark, once."""
        remark = Remark(sort, place, option, text)
        if remark not in self._said:
            self._said.add(remark)
            self.remarks.append(remark)

    def add(self, kind: str, section: Section, name: str = "") -> str:
        """Add a daemon under *name* (none given: its kind), or with a number behind it where that is taken.

        Gives the name it got.
        """
        wanted = name or kind
        free, number = wanted, 2
        while free in self.daemons:
            free = f"{wanted}-{number}"
            number += 1
        head: Section = {} if free == kind else {"kind": Option(kind, "")}
        first: Section = {key: section[key] for key in _FIRST if key in section}
        self.daemons[free] = {**head, **first, **section}
        return free

    def plain(self) -> dict[str, Plain]:
        """The configuration as nested mappings."""
        document: dict[str, Plain] = {}
        for name, option in self.common.items():
            outer, dot, inner = name.partition(".")
            if dot:
                section = document.setdefault(outer, {})
                assert isinstance(section, dict)
                section[inner] = option.value
            else:
                document[name] = option.value
        document["daemons"] = {
            name: {key: option.value for key, option in section.items()}
            for name, section in self.daemons.items()
        }
        return document
