"""A case: a piece of work, and the daemons that do it in turns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from bench.load import MakeClient
from bench.milter_load import Dialogues
from bench.players import Player, Running
from bench.world import World
from tests.harness.milter_client import Mail


class Work(Protocol):
    """What is to be done: makes the clients of one run."""

    def clients(self, world: World, player: Player, daemon: Running) -> MakeClient:
        """The clients' side of the next run against this daemon. Raises LoadError, OSError."""


@dataclass(frozen=True)
class MilterWork:
    """Messages for a milter. Each answer has to hold *expected*.

    *mails* makes them for a player; they are made once, unless *fresh*: then
    no run gets what another had.
    """

    mails: Callable[[World, Player], Sequence[Mail]]
    expected: Sequence[bytes]
    fresh: bool = False
    _made: dict[str, Sequence[Mail]] = field(default_factory=dict)

    def clients(self, world: World, player: Player, daemon: Running) -> MakeClient:
        if self.fresh or player.name not in self._made:
            self._made[player.name] = self.mails(world, player)
        return Dialogues.prepare(str(daemon.socket), self._made[player.name], self.expected).client


@dataclass(frozen=True)
class Case:
    """One row of the table.

    ``targets`` are the ratios of throughput wanted, by peer. ``seconds`` is
    how long one run takes, ``rounds`` how many there are of each player.
    """

    name: str
    title: str
    unit: str
    work: Work
    players: Sequence[Player]
    targets: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 1.5
    rounds: int = 3
