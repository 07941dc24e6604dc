"""Runs a case: starts its daemons, lets them take turns, and gives the medians of the rounds."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, fields

from bench import load
from bench.case import Case
from bench.load import Load
from bench.players import Player, Running
from bench.world import MissingError, World

CLIENTS = 8
WARM_UP = 0.3

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Pace:
    """How long all takes: factors on the seconds and the rounds of each case."""

    seconds: float = 1.0
    rounds: float = 1.0

    def rounds_of(self, case: Case) -> int:
        """How many rounds a case has."""
        return max(1, round(case.rounds * self.rounds))


USUAL = Pace()
QUICK = Pace(seconds=0.35, rounds=0.34)


@dataclass(frozen=True)
class Score:
    """One player in one case: the medians over the rounds, with many clients and with one."""

    player: str
    many: Load
    one: Load


@dataclass(frozen=True)
class Outcome:
    """A case's scores, and why the players that are missing are."""

    case: Case
    scores: Sequence[Score]
    missing: dict[str, str]

    def score(self, player: str) -> Score | None:
        """One player's."""
        return next((each for each in self.scores if each.player == player), None)


def play(case: Case, world: World, pace: Pace, tell: Tell) -> Outcome:
    """Run a case. Raises LoadError where a daemon does not do its work."""
    missing: dict[str, str] = {}
    many: dict[str, list[Load]] = {}
    one: dict[str, list[Load]] = {}
    with ExitStack() as stack:
        running: list[tuple[Player, Running]] = []
        for player in case.players:
            try:
                running.append((player, stack.enter_context(player.start(world))))
            except MissingError as reason:
                missing[player.name] = str(reason)
                tell(f"{case.name}: no {player.name}: {reason}")
        for player, daemon in running:
            case.work.prepare(world, player, daemon)
            load.run(case.work.clients(world, player, daemon), CLIENTS, WARM_UP * pace.seconds)
        for number in range(pace.rounds_of(case)):
            turn = number % len(running) if running else 0
            for player, daemon in running[turn:] + running[:turn]:
                for clients, found, part in ((CLIENTS, many, 1.0), (1, one, 0.5)):
                    make = case.work.clients(world, player, daemon)
                    seconds = case.seconds * part * pace.seconds
                    found.setdefault(player.name, []).append(load.run(make, clients, seconds, daemon.pids))
                last = many[player.name][-1]
                tell(
                    f"{case.name}: {player.name}: {last.rate:.0f} {case.unit}/s, p50 {last.p50 * 1e3:.2f} ms"
                )
    scores = [
        Score(player.name, medians(many[player.name]), medians(one[player.name])) for player, _ in running
    ]
    return Outcome(case, scores, missing)


def medians(loads: Sequence[Load]) -> Load:
    """Field by field, the median of several runs."""
    values = {
        each.name: statistics.median(getattr(load, each.name) for load in loads) for each in fields(Load)
    }
    return Load(**values)
