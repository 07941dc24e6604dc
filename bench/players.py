"""Who takes part: a daemon that is started in a world, and where it is then to be found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from bench.world import World

OURS = "gatepost"


@dataclass(frozen=True)
class Running:
    """A daemon that runs: its unix socket, its processes (theirs come below them), and how they log."""

    socket: Path
    pids: Sequence[int]
    log: Path | None = None


Start = Callable[[World], AbstractContextManager[Running]]
"""Starts a daemon, and stops it at the end. Raises MissingError where it cannot be had."""


@dataclass(frozen=True)
class Player:
    """A daemon under its name in the tables; ``note`` says what in its configuration matters."""

    name: str
    start: Start
    note: str = ""

    @property
    def ours(self) -> bool:
        """Whether it is gatepost's, in whatever variety."""
        return self.name.startswith(OURS)
