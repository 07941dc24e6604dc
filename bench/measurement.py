"""What can be measured: the frame that all measurements have in common."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields
from typing import Protocol

from bench.load import Load
from bench.missing import MissingError
from bench.players import Player, Running
from bench.result import Result
from bench.world import World

CLIENTS = 8
"""Clients at a time where nothing else is said."""

WARM_UP = 0.5

START = 0.8
"""Seconds that the start and the end of a daemon take, for estimates."""

Tell = Callable[[str], None]
"""Takes a line about how it goes."""


@dataclass(frozen=True)
class Pace:
    """How long all takes: factors on seconds and on rounds."""

    seconds: float = 1.0
    rounds: float = 1.0

    def rounds_of(self, usual: int) -> int:
        """How many rounds there are instead of the usual number."""
        return max(1, round(usual * self.rounds))


USUAL = Pace()
QUICK = Pace(seconds=0.35, rounds=0.34)


class Measurement(Protocol):
    """Something that is measured under a name of its own."""

    @property
    def name(self) -> str:
        """Its name on the command line."""

    @property
    def title(self) -> str:
        """Its name in tables."""

    def estimate(self, pace: Pace) -> float:
        """About how many seconds it takes."""

    def run(self, world: World, pace: Pace, tell: Tell) -> Result:
        """Measure. Raises MissingError, LoadError, OSError, RuntimeError."""


@contextmanager
def playing(
    players: Sequence[Player], world: World, name: str, tell: Tell
) -> Iterator[tuple[list[tuple[Player, Running]], dict[str, str]]]:
    """The players that can be had, running; and why the others cannot."""
    missing: dict[str, str] = {}
    with ExitStack() as stack:
        running = []
        for player in players:
            try:
                running.append((player, stack.enter_context(player.start(world))))
            except MissingError as reason:
                missing[player.name] = str(reason)
                tell(f"{name}: without {player.name}: {reason}")
        yield running, missing


def in_turns(running: Sequence[tuple[Player, Running]], rounds: int) -> Iterator[tuple[Player, Running]]:
    """All of them in each round, another one first each time."""
    for number in range(rounds):
        turn = number % max(1, len(running))
        yield from (*running[turn:], *running[:turn])


def medians(loads: Sequence[Load]) -> Load:
    """Field by field, the median of several runs."""
    return Load(
        **{each.name: statistics.median(getattr(load, each.name) for load in loads) for each in fields(Load)}
    )
