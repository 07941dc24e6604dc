"""Whether messages whose keys take seconds to arrive make other messages wait."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection

from bench import load, mails
from bench.load import LoadError
from bench.measurement import CLIENTS, START, Pace, Tell, playing
from bench.milter_load import Dialogues, MilterTalk
from bench.players import Player, Running
from bench.result import Result, Row, duration
from bench.work import MilterWork
from bench.world import SLOW, SLOW_SECONDS, World
from tests.harness.keys import KeyPair
from tests.harness.milter_client import Address, ClientError, Mail, MilterClient

MESSAGES = 200
PATIENCE = 10
"""Seconds after which a client gives up; that long is then what its last message took."""

_HEAD_START = 0.3


@dataclass(frozen=True)
class SlowDns:
    """Fast messages alone, then beside :data:`MESSAGES` whose keys are on their way for two seconds."""

    players: Sequence[Player]
    work: MilterWork
    name: str = "slow-dns"
    title: str = "DKIM verify, 4 kB"

    def estimate(self, pace: Pace) -> float:
        """About how many seconds it takes."""
        return len(self.players) * (START + 2 * SLOW_SECONDS + PATIENCE)

    def run(self, world: World, pace: Pace, tell: Tell) -> Result:
        """Measure one daemon after the other: what one has before it may not touch another."""
        rows: list[Row] = []
        missing: dict[str, str] = {}
        for player in self.players:
            with playing([player], world, self.name, tell) as (running, absent):
                missing |= absent
                for _, daemon in running:
                    rows.append(self._row(world, player, daemon))
                    last = rows[-1]
                    tell(
                        f"{self.name}: {player.name}: p50 {duration(last['p50_before'])}, beside slow ones"
                        f" {duration(last['p50'])}; {last['slow']} slow ones pass"
                    )
        return Result(self.name, self.title, "slow", rows, missing)

    def _row(self, world: World, player: Player, daemon: Running) -> Row:
        self.work.prepare(world, player, daemon)
        dialogues = self.work.dialogues(world, player, daemon)
        load.run(dialogues.client, CLIENTS, 0.5)
        seconds = SLOW_SECONDS - 2 * _HEAD_START
        before = load.run(dialogues.client, CLIENTS, seconds)
        patient = _PatientOnes(replace(dialogues, patience=PATIENCE))
        with _Late(world, daemon) as late:
            time.sleep(_HEAD_START)
            beside = load.run(patient.client, CLIENTS, seconds)
            passed = late.passed()
        return {
            "daemon": player.name,
            "p50_before": before.p50,
            "p99_before": before.p99,
            "p50": beside.p50,
            "p99": beside.p99,
            "rate_before": before.rate,
            "rate": beside.rate,
            "slow": f"{passed} of {MESSAGES}",
        }


@dataclass(frozen=True)
class _PatientOnes:
    """Makes clients that wait only so long."""

    dialogues: Dialogues

    def client(self, number: int, clients: int) -> _Patient:
        return _Patient(self.dialogues.client(number, clients))


class _Patient:
    """A client that counts the message on which it gave up as one that took that long, and does no more."""

    def __init__(self, talk: MilterTalk) -> None:
        self._talk = talk
        self._gave_up = False

    def __call__(self) -> float:
        if self._gave_up:
            raise StopIteration
        began = time.perf_counter()
        try:
            return self._talk()
        except BlockingIOError:
            self._gave_up = True
            return time.perf_counter() - began

    def close(self) -> None:
        self._talk.close()


class _Late:
    """The slow messages, each on a connection of its own; a process sends them in the ``with``."""

    def __init__(self, world: World, daemon: Running) -> None:
        messages = [
            mails.signed(KeyPair(SLOW, selector, world.cold.private), SLOW, 1)
            for selector in world.slow_selectors(MESSAGES)
        ]
        context = multiprocessing.get_context("fork")
        self._link, self._theirs = context.Pipe()
        self._process = context.Process(
            target=_send, args=(daemon.address, messages, self._theirs), daemon=True
        )

    def __enter__(self) -> _Late:
        self._process.start()
        self._theirs.close()
        return self

    def passed(self) -> int:
        """Wait for the answers, as long as anybody here waits; how many of them say pass."""
        if not self._link.poll(2.0 * PATIENCE):
            raise LoadError("the slow messages' clients do not end")
        try:
            return int(self._link.recv())
        except EOFError:
            raise LoadError("the slow messages' clients have died") from None

    def __exit__(self, *_: object) -> None:
        self._link.close()
        self._process.kill()
        self._process.join()


def _send(address: Address, messages: Sequence[Mail], link: Connection) -> None:
    """In a process of its own: send all at once, and tell how many pass."""
    passed: list[None] = []

    def one(mail: Mail) -> None:
        try:
            with MilterClient(address, timeout=PATIENCE) as client:
                if any(
                    b"dkim=pass" in value for value in client.send(mail).values(b"authentication-results")
                ):
                    passed.append(None)
        except (ClientError, OSError):
            pass  # not passed, then

    try:
        threads = [threading.Thread(target=one, args=(mail,), daemon=True) for mail in messages]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + PATIENCE
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        link.send(len(passed))
    except (KeyboardInterrupt, OSError):
        pass  # the run was broken off
