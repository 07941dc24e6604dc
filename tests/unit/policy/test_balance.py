"""Connections spread over the workers that share a listening socket."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Sequence
from pathlib import Path

import pytest
import uvloop

from gatepost.config.sections import Limits
from gatepost.service.balance import Balance, Seat
from policy.server import PolicyWorker
from tests.harness.waiting import PATIENCE
from tests.unit.milters.serving import Log
from tests.unit.policy.serving import ScriptedService


def seats(number: int) -> list[Seat]:
    counts = memoryview(bytearray(4 * number)).cast("I")
    return [Seat(counts, each) for each in range(number)]


async def serve(path: Path, taken: Sequence[Seat], connections: int, *, at_once: bool = True) -> list[int]:
    """Open *connections*, at once or one by one, to workers that have those seats; how many each has got."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    workers = [PolicyWorker(ScriptedService(), limits=Limits(), log=Log(), seat=seat) for seat in taken]
    clients = [socket.socket(socket.AF_UNIX) for _ in range(connections)]

    async def all_taken(number: int) -> None:
        async with asyncio.timeout(PATIENCE):
            while sum(worker.connections for worker in workers) < number:  # noqa: ASYNC110 -- nothing tells
                await asyncio.sleep(0.001)

    if at_once:
        for client in clients:
            client.connect(str(path))
    for worker in workers:
        await worker.start([listener.dup()])
    if not at_once:
        for number, client in enumerate(clients, start=1):
            client.connect(str(path))
            await all_taken(number)
    await all_taken(connections)
    got = [worker.connections for worker in workers]
    for client in (*clients, listener):
        client.close()
    for worker in workers:
        await worker.stop(0)
    return got


@pytest.mark.parametrize(("workers", "connections"), [(2, 8), (3, 9), (4, 5)])
@pytest.mark.parametrize("at_once", [True, False])
def test_connections_spread_evenly(workers: int, connections: int, at_once: bool, tmp_path: Path) -> None:
    got = uvloop.run(serve(tmp_path / "socket", seats(workers), connections, at_once=at_once))
    assert max(got) - min(got) <= 1, got


def test_nothing_waits_for_a_worker_that_takes_none(tmp_path: Path) -> None:
    working, _hanging = seats(2)
    assert uvloop.run(serve(tmp_path / "socket", [working], 8)) == [8]


def test_a_worker_that_stops_is_not_waited_for() -> None:
    first, second = seats(2)
    first.tell(1)
    assert first.fuller
    assert not second.fuller
    second.leave()
    assert not first.fuller


def test_a_seat_is_free_again_when_its_process_has_ended() -> None:
    balance = Balance(2)
    ready, told = os.pipe()
    held, release = os.pipe()
    child = os.fork()
    if not child:
        seat = balance.seat()
        os.close(release)
        if seat is not None:
            seat.tell(7)
        os.write(told, b"!")
        os.read(held, 1)  # until the other end is closed
        os._exit(0)
    os.read(ready, 1)
    second = balance.seat()
    assert second is not None
    second.tell(8)
    with_the_child = second.fuller  # it has 7
    os.close(release)
    os.waitpid(child, 0)
    again = balance.seat()
    assert again is not None
    again.tell(9)
    assert (with_the_child, second.fuller, again.fuller) == (True, False, True)
    for descriptor in (ready, told, held):
        os.close(descriptor)
