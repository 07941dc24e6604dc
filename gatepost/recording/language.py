"""What the proxy and the shelf have to know of a protocol: how to listen to it, and how to write it down."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, Protocol

from gatepost.recording.events import End, Left, Side


class Ear(Protocol):
    """Listens in on one connection. ``events`` is what has happened since it was last emptied."""

    events: list[Any]
    left: Left | None

    @property
    def between_messages(self) -> bool:
        """Whether nothing is half said, and the daemon had the last word."""

    def read(self, side: Side, data: bytes) -> None:
        """*side* sent *data*."""

    def leave(self, side: Side, end: End) -> None:
        """*side* left the connection."""


class Hand(Protocol):
    """Writes one connection down, in pieces."""

    def lines(self, events: Iterable[Any]) -> Iterator[str]:
        """The next *events* as text, line ends included."""


class Language(NamedTuple):
    """One protocol. ``version_line`` is how its files begin."""

    ear: Callable[[], Ear]
    hand: Callable[[], Hand]
    version_line: str
