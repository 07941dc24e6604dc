"""Whether messages whose keys take seconds to arrive make other messages wait."""

from __future__ import annotations

import multiprocessing
import selectors
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection

from bench import load, mails
from bench.load import Load, LoadError
from bench.measurement import CLIENTS, START, Pace, Tell, in_turns, medians, playing
from bench.players import Player, Running
from bench.result import Result, Row, duration
from bench.work import MilterWork
from bench.world import SLOW, SLOW_SECONDS, World
from tests.harness.keys import KeyPair
from tests.harness.milter_client import Address, ClientError, Mail, MilterClient

MESSAGES = 200
_PATIENCE = 60.0


@dataclass(frozen=True)
class SlowDns:
    """Fast messages alone, then beside :data:`MESSAGES` whose keys are on their way for two seconds."""

    players: Sequence[Player]
    work: MilterWork
    name: str = "slow-dns"
    title: str = "DKIM verify, 4 kB"
    rounds: int = 2

    def estimate(self, pace: Pace) -> float:
        """About how many seconds it takes."""
        return len(self.players) * (START + pace.rounds_of(self.rounds) * (2 * SLOW_SECONDS + 3))

    def run(self, world: World, pace: Pace, tell: Tell) -> Result:
        """Let the daemons take turns."""
        before: dict[str, list[Load]] = {}
        beside: dict[str, list[Load]] = {}
        answered: dict[str, list[int]] = {}
        seconds = SLOW_SECONDS * 0.75
        with playing(self.players, world, self.name, tell) as (running, missing):
            for player, daemon in running:
                self.work.prepare(world, player, daemon)
                load.run(self.work.clients(world, player, daemon), CLIENTS, 0.3)
            for player, daemon in in_turns(running, pace.rounds_of(self.rounds)):
                make = self.work.clients(world, player, daemon)
                before.setdefault(player.name, []).append(load.run(make, CLIENTS, seconds))
                with _Late(world, daemon) as late:
                    beside.setdefault(player.name, []).append(load.run(make, CLIENTS, seconds))
                    answered.setdefault(player.name, []).append(late.answered())
                last = beside[player.name][-1]
                tell(
                    f"{self.name}: {player.name}: p50 {duration(before[player.name][-1].p50)}, beside slow ones"
                    f" {duration(last.p50)}; {answered[player.name][-1]} of {MESSAGES} slow ones pass"
                )
        rows: list[Row] = []
        for name in beside:
            first, second = medians(before[name]), medians(beside[name])
            rows.append(
                {
                    "daemon": name,
                    "p50_before": first.p50,
                    "p99_before": first.p99,
                    "p50": second.p50,
                    "p99": second.p99,
                    "rate_before": first.rate,
                    "rate": second.rate,
                    "slow": f"{min(answered[name])} of {MESSAGES}",
                }
            )
        return Result(self.name, self.title, "slow", rows, missing)


class _Late:
    """The slow messages: sent by a process of its own in the ``with``, all under way at its start."""

    def __init__(self, world: World, daemon: Running) -> None:
        self._mails = [
            mails.signed(KeyPair(SLOW, selector, world.cold.private), SLOW, 1)
            for selector in world.slow_selectors(MESSAGES)
        ]
        context = multiprocessing.get_context("fork")
        self._link, theirs = context.Pipe()
        self._process = context.Process(target=_send, args=(daemon.address, self._mails, theirs), daemon=True)
        self._theirs = theirs

    def __enter__(self) -> _Late:
        self._process.start()
        self._theirs.close()
        self._take()
        return self

    def answered(self) -> int:
        """Wait for the answers; how many of them say pass."""
        return self._take()

    def _take(self) -> int:
        if not self._link.poll(_PATIENCE):
            raise LoadError(f"the slow messages have no answer after {_PATIENCE:.0f} s")
        try:
            told = self._link.recv()
        except EOFError:
            raise LoadError("the slow messages' client has died") from None
        if isinstance(told, str):
            raise LoadError(told)
        return int(told)

    def __exit__(self, *_: object) -> None:
        self._link.close()
        self._process.join(1)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def _send(address: Address, messages: Sequence[Mail], link: Connection) -> None:
    """In a process of its own: send all, tell that they are under way, then how many passed."""
    try:
        clients = [_sent(address, mail) for mail in messages]
        link.send(0)
        link.send(_passing(clients))
    except (LoadError, ClientError, OSError, EOFError) as error:
        try:
            link.send(f"slow messages: {type(error).__name__}: {error}")
        except OSError:
            pass  # nobody listens any more
    except KeyboardInterrupt:
        pass


def _sent(address: Address, mail: Mail) -> MilterClient:
    """A client that has written all of its message, and awaits the verdict."""
    client = MilterClient(address, timeout=_PATIENCE)
    for stage, data, answered in client.script.steps(mail, new_session=True):
        client.raw(data)
        if answered and stage != "eom" and client.read_packet()[0] != b"c":
            raise LoadError(f"{stage} was not answered by continue")
    return client


def _passing(clients: Sequence[MilterClient]) -> int:
    """Read until all have their verdict; how many pass."""
    waiting = selectors.DefaultSelector()
    told = dict.fromkeys(clients, b"")
    for client in clients:
        waiting.register(client.socket, selectors.EVENT_READ, client)
    deadline = time.monotonic() + _PATIENCE
    passing = 0
    while told and time.monotonic() < deadline:
        for key, _ in waiting.select(1.0):
            client = key.data
            data = client.socket.recv(65536)
            told[client] += data
            # The verdict is one letter in a packet of its own.
            if not data or told[client].endswith((b"\0\0\0\1a", b"\0\0\0\1c")):
                passing += b"dkim=pass" in told.pop(client)
                waiting.unregister(client.socket)
                client.close()
    return passing
