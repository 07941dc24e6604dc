"""How much memory a daemon has, idle and while many large messages are under way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from bench import mails
from bench.load import LoadError
from bench.machine import tree_memory
from bench.measurement import START, Pace, Tell, playing
from bench.ours import WORKERS
from bench.players import Player, Running
from bench.result import Result, Row, megabytes
from bench.world import World
from tests.harness.milter_client import Mail, MilterClient

CLIENTS = 100
ALLOWED = 40 * 1024 * 1024
"""Octets that a worker of ours may take beyond the peer: it is a Python of its own."""

_LOOKS = 20
_TIMEOUT = 120.0


@dataclass(frozen=True)
class Memory:
    """Messages of 1 MB and of 10 MB from as many clients at once, a chunk each in turn.

    The first player's target is the second one's memory and what is allowed
    a worker. What is given is the most that was seen while the bodies came,
    as PSS, which counts pages that processes share in parts.
    """

    players: Sequence[Player]
    name: str = "memory"
    title: str = "DKIM verify"
    megabytes: Mapping[str, int] = field(default_factory=lambda: {"small": 1, "large": 10})

    def estimate(self, pace: Pace) -> float:
        """About how many seconds it takes."""
        return len(self.players) * (START + 25 * pace.rounds)

    def run(self, world: World, pace: Pace, tell: Tell) -> Result:
        """Measure one daemon after the other."""
        clients = CLIENTS if pace.rounds >= 1 else CLIENTS // 4
        found: dict[str, dict[str, int]] = {}
        with playing(self.players, world, self.name, tell) as (running, missing):
            for player, daemon in running:
                key = world.keys[0]
                # Whatever is loaded at first use is loaded.
                _most(daemon, mails.signed(key, key.domain, 0), 2 * WORKERS)
                memory = {"idle": tree_memory(daemon.pids)}
                for name, size in self.megabytes.items():
                    mail = mails.signed(key, key.domain, 1, size=size * 1024 * 1024)
                    memory[name] = _most(daemon, mail, clients)
                tell(f"{self.name}: {player.name}: {', '.join(map(megabytes, memory.values()))}")
                found[player.name] = memory
        rows: list[Row] = [{"daemon": name, **memory} for name, memory in found.items()]
        if len(rows) > 1:
            ours, peer, *_ = rows
            rows[0] = {**ours, "target": peer["large"] + WORKERS * ALLOWED}
        return Result(self.name, self.title, "memory", rows, missing)


def _most(daemon: Running, mail: Mail, clients: int) -> int:
    """Send the message from all clients side by side; the most memory meanwhile, in octets."""
    with ExitStack() as stack:
        others = [stack.enter_context(MilterClient(daemon.address, timeout=_TIMEOUT)) for _ in range(clients)]
        steps = others[0].script.steps(mail, new_session=True)
        most = 0
        for place, (stage, data, answered) in enumerate(steps):
            for client in others:
                client.raw(data)
                if answered and stage != "eom":
                    _continued(client, stage)
            if stage != "eom" and place % max(1, len(steps) // _LOOKS) == 0:
                most = max(most, tree_memory(daemon.pids))
        for client in others:
            _passed(client)
        return max(most, tree_memory(daemon.pids))


def _continued(client: MilterClient, stage: str) -> None:
    command, _ = client.read_packet()
    if command != b"c":
        raise LoadError(f"{stage} was answered by {command!r}")


def _passed(client: MilterClient) -> None:
    told = b""
    while True:
        command, payload = client.read_packet()
        told += payload
        if command in (b"a", b"c"):
            break
    if b"dkim=pass" not in told:
        raise LoadError(f"no pass in {told!r}")
