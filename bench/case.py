"""A case: a piece of work, and the daemons that do it in turns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bench import load
from bench.load import Load
from bench.measurement import CLIENTS, START, WARM_UP, Pace, Tell, in_turns, medians, playing
from bench.players import OURS, Player
from bench.result import Result, Row, duration
from bench.work import Work
from bench.world import World


@dataclass(frozen=True)
class Case:
    """One row of the table.

    ``unit`` is what is counted. ``targets`` are the ratios of throughput
    wanted, by peer. ``seconds`` is how long one run takes, ``rounds`` how many
    there are of each player. ``clumsy`` names players that take longer than
    the time of a run: they have one round.
    """

    name: str
    title: str
    unit: str
    work: Work
    players: Sequence[Player]
    targets: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 1.5
    rounds: int = 3
    clumsy: Sequence[str] = ()
    note: str = ""

    def estimate(self, pace: Pace) -> float:
        """About how many seconds it takes."""
        runs = 1.5 * self.seconds * pace.seconds * pace.rounds_of(self.rounds)
        return len(self.players) * (START + WARM_UP + runs) + 10.0 * len(self.clumsy)

    def run(self, world: World, pace: Pace, tell: Tell) -> Result:
        """Start the daemons, let them take turns, and give the medians of the rounds."""
        many: dict[str, list[Load]] = {}
        alone: dict[str, list[Load]] = {}
        with playing(self.players, world, self.name, tell) as (running, missing):
            for player, daemon in running:
                self.work.prepare(world, player, daemon)
                if player.name not in self.clumsy:
                    load.run(self.work.clients(world, player, daemon), CLIENTS, WARM_UP * pace.seconds)
            for player, daemon in in_turns(running, pace.rounds_of(self.rounds)):
                if player.name in self.clumsy and player.name in many:
                    continue
                for clients, found, part in ((CLIENTS, many, 1.0), (1, alone, 0.5)):
                    make = self.work.clients(world, player, daemon)
                    seconds = self.seconds * part * pace.seconds
                    found.setdefault(player.name, []).append(load.run(make, clients, seconds, daemon.pids))
                last = many[player.name][-1]
                tell(
                    f"{self.name}: {player.name}: {last.rate:.0f} {self.unit}/s,"
                    f" p50 {duration(last.p50)}, alone {duration(alone[player.name][-1].p50)}"
                )
        rows = self._rows({name: (medians(many[name]), medians(alone[name])) for name in many})
        return Result(self.name, self.title, "throughput", rows, missing, note=self.note)

    def _rows(self, scores: Mapping[str, tuple[Load, Load]]) -> list[Row]:
        ours = scores.get(OURS)
        return [
            {
                "daemon": name,
                "rate": many.rate,
                "ratio": ours[0].rate / many.rate if ours and name != OURS else None,
                "target": self.targets.get(name),
                "cpu_ratio": many.cpu / ours[0].cpu if ours and ours[0].cpu and name != OURS else None,
                "p50": many.p50,
                "p99": many.p99,
                "p50_alone": alone.p50,
                "p99_alone": alone.p99,
                "rate_alone": alone.rate,
                "cpu": many.cpu,
                "share": many.share,
                "count": many.count,
            }
            for name, (many, alone) in scores.items()
        ]
