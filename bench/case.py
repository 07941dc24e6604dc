"""A case: a piece of work, and the daemons that do it in turns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bench.players import Player
from bench.work import Work


@dataclass(frozen=True)
class Case:
    """One row of the table.

    ``unit`` is what is counted. ``targets`` are the ratios of throughput
    wanted, by peer. ``seconds`` is how long one run takes, ``rounds`` how many
    there are of each player.
    """

    name: str
    title: str
    unit: str
    work: Work
    players: Sequence[Player]
    targets: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 1.5
    rounds: int = 3
