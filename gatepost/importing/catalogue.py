"""All options of another daemon's manual, and what becomes of each here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import NamedTuple


class Fate(StrEnum):
    """What becomes of an option."""

    CARRIED = "carried over"
    ALWAYS = "always so"
    MEANINGLESS = "no meaning here"
    UNSUPPORTED = "not supported"


class Known(NamedTuple):
    """An option of the manual. ``text`` is what it becomes, or why it is not carried over, and what to do instead."""

    name: str
    fate: Fate
    text: str


class Catalogue:
    """The options of one daemon by name. Its names have no case where *folds* says so."""

    def __init__(
        self,
        *,
        carried: Mapping[str, str],
        always: Mapping[str, str],
        meaningless: Mapping[str, str],
        unsupported: Mapping[str, str],
        folds: bool = True,
    ) -> None:
        """Each mapping is from names, with spaces between those that share a text, to the text."""
        self._folds = folds
        self._known: dict[str, Known] = {}
        for fate, texts in (
            (Fate.CARRIED, carried),
            (Fate.ALWAYS, always),
            (Fate.MEANINGLESS, meaningless),
            (Fate.UNSUPPORTED, unsupported),
        ):
            for names, text in texts.items():
                self._add(names.split(), fate, text)

    def _add(self, names: Iterable[str], fate: Fate, text: str) -> None:
        for name in names:
            if self._key(name) in self._known:
                raise ValueError(f"{name} stands in the catalogue twice")
            self._known[self._key(name)] = Known(name, fate, text)

    def _key(self, name: str) -> str:
        return name.lower() if self._folds else name

    def __iter__(self) -> Iterator[Known]:
        return iter(self._known.values())

    def names(self) -> list[str]:
        """All names, as the manual writes them."""
        return [known.name for known in self]

    def find(self, name: str) -> Known | None:
        """What is known of the option *name*, if anything."""
        return self._known.get(self._key(name))


_OFF = frozenset({"no", "n", "false", "f", "0", "off", "none"})


def is_off(value: str) -> bool:
    """Whether *value* switches an option off, so that nothing is lost without it."""
    return value.strip().lower() in _OFF
