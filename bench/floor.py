"""How far above the floor a daemon is: what the cryptography and an empty server cost by themselves.

All in CPU time, which other work on the machine disturbs little. Our daemons
run with one worker here, and with all on that is on for users.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256

from bench import load
from bench.engine import no_op_milter
from bench.measurement import CLIENTS, START, Pace, Tell, playing
from bench.players import Player
from bench.result import Result, Row, duration
from bench.work import MilterWork, Work
from bench.world import World
from tests.harness.milter_client import Mail

_PADDING = PKCS1v15()
_ALGORITHM = Prehashed(SHA256())


@dataclass(frozen=True)
class Above:
    """One kind of work: who does it, the message's size, and whether it makes a signature or checks one."""

    title: str
    player: Player
    work: Work
    mails: Callable[[World, Player], Sequence[Mail]]
    size: int
    signs: bool


@dataclass(frozen=True)
class Floor:
    """A row for each kind of work."""

    works: Sequence[Above]
    name: str = "floor"
    title: str = "One worker"
    seconds: float = 1.5

    def estimate(self, pace: Pace) -> float:
        """About how many seconds it takes."""
        return len(self.works) * 2 * (START + 0.3 + self.seconds * pace.seconds)

    def run(self, world: World, pace: Pace, tell: Tell) -> Result:
        """Measure each daemon, the empty server with the same messages, and the cryptography."""
        rows: list[Row] = []
        missing: dict[str, str] = {}
        for work in self.works:
            empty = MilterWork(work.mails, (b"none",))
            cpu = self._cpu(work.player, work.work, world, pace, tell)
            server = self._cpu(no_op_milter(), empty, world, pace, tell)
            rsa, sha = _rsa(world, signs=work.signs), _sha256(work.size)
            floor = server + rsa + sha
            rows.append(
                {
                    "daemon": work.title,
                    "cpu": cpu,
                    "floor": floor,
                    "ratio": cpu / floor,
                    "parts": f"empty milter {duration(server)}, RSA {duration(rsa)}, SHA-256 {duration(sha)}",
                    "server": server,
                    "rsa": rsa,
                    "sha": sha,
                }
            )
            tell(f"{self.name}: {work.title}: {duration(cpu)} of CPU, floor {duration(floor)}")
        return Result(self.name, self.title, "floor", rows, missing)

    def _cpu(self, player: Player, work: Work, world: World, pace: Pace, tell: Tell) -> float:
        """CPU seconds of one message."""
        with playing([player], world, self.name, tell) as ([(_, daemon)], _):
            work.prepare(world, player, daemon)
            load.run(work.clients(world, player, daemon), CLIENTS, 0.3)
            make = work.clients(world, player, daemon)
            return load.run(make, CLIENTS, self.seconds * pace.seconds, daemon.pids).cpu


def _cost(work: Callable[[], object]) -> float:
    """CPU seconds of one call."""
    calls, began = 0, time.process_time()
    while True:
        for _ in range(10):
            work()
        calls += 10
        spent = time.process_time() - began
        if spent > 0.1:
            return spent / calls


def _rsa(world: World, *, signs: bool) -> float:
    private = world.ours.private
    assert isinstance(private, RSAPrivateKey)
    digest = hashlib.sha256(b"").digest()
    signature = private.sign(digest, _PADDING, _ALGORITHM)
    public = private.public_key()
    if signs:
        return _cost(lambda: private.sign(digest, _PADDING, _ALGORITHM))
    return _cost(lambda: public.verify(signature, digest, _PADDING, _ALGORITHM))


def _sha256(size: int) -> float:
    octets = bytes(size)
    return _cost(lambda: hashlib.sha256(octets).digest())
