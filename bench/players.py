"""Who takes part: a daemon that is started in a world, and where it is then to be found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from bench.endpoint import Endpoint
from bench.world import World
from tests.harness.milter_client import Address

OURS = "gatepost"


@dataclass(frozen=True)
class Running:
    """A daemon that runs: where it listens, and its processes (those that they start come below them)."""

    endpoint: Endpoint
    pids: Sequence[int]

    @property
    def address(self) -> Address:
        """Where its clients connect."""
        return self.endpoint.address


Start = Callable[[World], AbstractContextManager[Running]]
"""Starts a daemon, and stops it at the end. Raises MissingError where it cannot be had."""


@dataclass(frozen=True)
class Player:
    """A daemon under its name in the tables."""

    name: str
    start: Start

    @property
    def ours(self) -> bool:
        """Whether it is gatepost's, in whatever variety."""
        return self.name.startswith(OURS)
