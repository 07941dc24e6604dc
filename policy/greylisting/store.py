"""What every store of the greylist promises, whatever it is made of.

What a store has answered it remembers, also when the process is killed right
after. It is asked for many attempts at a time, and takes all of them or, with
:class:`StoreError`, says why it cannot now.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from policy.greylisting.decision import Decision, OriginRecord, TripletRecord
from policy.greylisting.key import Triplet


class StoreError(Exception):
    """The store cannot serve now. The text is one line for the operator, without what a sender chose."""


class Question(NamedTuple):
    """One delivery attempt. ``counts`` says that a pass is a delivery of its own."""

    triplet: Triplet
    counts: bool = True


class Entry(NamedTuple):
    """A triplet and what is remembered of it."""

    triplet: Triplet
    record: TripletRecord


class Origin(NamedTuple):
    """An origin and what is remembered of it."""

    name: str
    record: OriginRecord


@dataclass(frozen=True, slots=True)
class Search:
    """Which entries are meant.

    ``origins`` are exact names, any of which will do; none given: all. In
    ``sender`` and ``recipient`` a ``*`` stands for any text.
    """

    origins: tuple[str, ...] = ()
    sender: str = "*"
    recipient: str = "*"

    @property
    def all_addresses(self) -> bool:
        """Whether sender and recipient leave nothing out."""
        return self.sender == "*" and self.recipient == "*"


class EntryPage(NamedTuple):
    """Some entries, and where the next page begins; "" after the last."""

    entries: list[Entry]
    next: str


class OriginPage(NamedTuple):
    """Some origins, and where the next page begins; "" after the last."""

    origins: list[Origin]
    next: str


@dataclass(slots=True)
class Stats:
    """How much is remembered: triplets that wait, triplets that passed, origins, those of them that pass at once.

    ``octets`` is the size on disk or in memory, where it is known.
    """

    waiting: int = 0
    passed: int = 0
    origins: int = 0
    allowed: int = 0
    octets: int | None = None


class Store(Protocol):
    """A store. It belongs to one event loop. All methods but ``close`` raise StoreError, and nothing else."""

    async def judge(self, questions: Sequence[Question], now: float) -> list[Decision]:
        """Decide, and remember what was decided. Called for one sequence at a time."""

    async def tend(self, now: float) -> float:
        """One small step of housekeeping, such as removing some of what has expired; seconds until the next."""

    async def size(self) -> int:
        """About how many entries there are, cheaply."""

    async def entries(self, search: Search, limit: int, after: str = "") -> EntryPage:
        """A page of about *limit* entries; *after* is what the page before said."""

    async def origins(self, search: Search, limit: int, after: str = "") -> OriginPage:
        """A page of about *limit* origins."""

    async def pin(self, origin: str, now: float) -> None:
        """Allow *origin* from now on, until it is forgotten."""

    async def forget(self, search: Search) -> tuple[int, int]:
        """Forget entries and, where the search names no address, origins; gives how many of each."""

    async def stats(self) -> Stats:
        """Count everything. Takes its time with a large store."""

    async def close(self) -> None:
        """Let go of files and connections."""
