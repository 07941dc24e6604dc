"""All cases, as data."""

from __future__ import annotations

from collections.abc import Sequence

from bench import mails, ours, peers
from bench.case import Case, MilterWork
from bench.players import Player
from bench.world import World
from tests.harness.milter_client import Mail

_PASS = (b"dkim=pass",)


def _signed(world: World, player: Player) -> Sequence[Mail]:
    return mails.many(world.keys, 200)


def all_cases() -> list[Case]:
    """The cases in the order in which they run."""
    return [
        Case(
            "verify-4k",
            "DKIM verify, 4 kB",
            "messages",
            MilterWork(_signed, _PASS),
            [ours.dkim_verify(), peers.OPENDKIM_VERIFY],
            {peers.OPENDKIM: 5.0},
        ),
    ]
