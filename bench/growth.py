"""How throughput and latency change with one quantity: clients, size of the message, workers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench import load
from bench.measurement import CLIENTS, START, Pace, Tell, in_turns, medians, playing
from bench.players import OURS, Player
from bench.result import Result, Row, duration
from bench.work import Work
from bench.world import World


@dataclass(frozen=True)
class Point:
    """One place on the axis: the work, who does it, and for how many clients."""

    x: int
    work: Work
    players: Sequence[Player]
    clients: int = CLIENTS


@dataclass(frozen=True)
class Growth:
    """Rows for all points; *axis* says what x is. ``seconds`` is how long one run takes."""

    name: str
    title: str
    axis: str
    points: Sequence[Point]
    seconds: float = 1.0
    rounds: int = 2
    note: str = ""

    def estimate(self, pace: Pace) -> float:
        """About how many seconds it takes."""
        runs = pace.rounds_of(self.rounds) * self.seconds * pace.seconds
        return sum(len(point.players) * (START + 0.3 + runs) for point in self.points)

    def run(self, world: World, pace: Pace, tell: Tell) -> Result:
        """Measure point by point."""
        rows: list[Row] = []
        missing: dict[str, str] = {}
        for point in self.points:
            with playing(point.players, world, self.name, tell) as (running, absent):
                missing |= absent
                loads: dict[str, list[load.Load]] = {}
                for player, daemon in running:
                    point.work.prepare(world, player, daemon)
                    load.run(point.work.clients(world, player, daemon), point.clients, 0.2)
                for player, daemon in in_turns(running, pace.rounds_of(self.rounds)):
                    make = point.work.clients(world, player, daemon)
                    found = load.run(make, point.clients, self.seconds * pace.seconds, daemon.pids)
                    loads.setdefault(player.name, []).append(found)
            for name, some in loads.items():
                found = medians(some)
                rows.append(
                    {"daemon": name, "x": point.x, "rate": found.rate, "p50": found.p50, "p99": found.p99,
                     "cpu": found.cpu}
                )  # fmt: skip
                tell(
                    f"{self.name}: {name}: {point.x} {self.axis}: {found.rate:.0f}/s, p50 {duration(found.p50)}"
                )
        rows.sort(key=lambda row: (row["daemon"] != OURS, row["daemon"]))
        return Result(self.name, self.title, "growth", rows, missing, axis=self.axis, note=self.note)
