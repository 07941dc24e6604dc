"""The load generator: clients in processes of their own, each with one conversation after the other.

Closed loop: a client begins its next piece of work (a message, a request) when
the last one is answered, as Postfix's processes do. What a client says is made
before; while the clock runs it writes, reads and checks. A reply that is not
the expected one ends the run: a bench of failures is no bench.
"""

from __future__ import annotations

import gc
import multiprocessing
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Protocol

from bench.machine import cores, tree_cpu_seconds

PATIENCE = 120.0
"""Seconds that a client may take beyond its time for the work under way."""


class LoadError(Exception):
    """A daemon did not answer, or not as it has to."""


class Client(Protocol):
    """One client's side: does a piece of work at each call."""

    def __call__(self) -> float:
        """Do one piece; give the seconds that it took.

        Raises LoadError for a wrong answer, OSError for none, StopIteration where there is no more to do.
        """

    def close(self) -> None:
        """Leave."""


MakeClient = Callable[[int, int], Client]
"""Makes a client in its own process, given its number and how many there are."""


@dataclass(frozen=True)
class Load:
    """What a run came to. Times are in seconds; ``rate`` is pieces of work a second.

    ``share`` is the part of the machine's CPU time that the clients used
    themselves, ``cpu`` the CPU seconds that the daemon used for one piece
    (0 where unknown).
    """

    count: int
    rate: float
    p50: float
    p99: float
    share: float
    cpu: float


@dataclass(frozen=True)
class _Tally:
    """One client's part: how long each piece took, from when to when it worked, and its CPU seconds."""

    times: array[float]
    began: float
    ended: float
    cpu: float


def run(make: MakeClient, clients: int, seconds: float, server: Sequence[int] = ()) -> Load:
    """Let *clients* clients work for *seconds*; *server* are the daemon's processes.

    Each client finishes what it has begun. Raises LoadError.
    """
    with _started(make, clients, seconds) as links:
        _collect(links)  # all are ready
        before, began = tree_cpu_seconds(server), time.perf_counter()
        for link in links:
            link.send(None)
        tallies = [tally for tally in _collect(links, seconds + PATIENCE) if tally is not None]
        wall, used = time.perf_counter() - began, tree_cpu_seconds(server) - before
    times = sorted(each for tally in tallies for each in tally.times)
    # Each client has its own end: one that waits for a large message must not make the others look idle.
    rate = sum(len(tally.times) / (tally.ended - tally.began) for tally in tallies if tally.times)
    return Load(
        count=len(times),
        rate=rate,
        p50=quantile(times, 0.5),
        p99=quantile(times, 0.99),
        share=sum(tally.cpu for tally in tallies) / (wall * cores()),
        cpu=used / len(times) if server else 0.0,
    )


def quantile(ordered: Sequence[float], part: float) -> float:
    """The value below which *part* of the *ordered* ones lie."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


@contextmanager
def _started(make: MakeClient, clients: int, seconds: float) -> Iterator[list[Connection]]:
    """The clients' processes, which wait for a word; all have ended afterwards."""
    context = multiprocessing.get_context("fork")  # what was made before is shared
    processes, links = [], []
    try:
        for number in range(clients):
            ours, theirs = context.Pipe()
            process = context.Process(
                target=_work, args=(make, number, clients, seconds, theirs), daemon=True
            )
            process.start()
            theirs.close()
            processes.append(process)
            links.append(ours)
        yield links
    finally:
        for link in links:
            link.close()
        for process in processes:
            process.join(1)
            if process.is_alive():
                process.kill()
                process.join()


def _collect(links: Sequence[Connection], timeout: float = PATIENCE) -> list[_Tally | None]:
    deadline = time.monotonic() + timeout
    found = []
    for link in links:
        if not link.poll(max(0.0, deadline - time.monotonic())):
            raise LoadError(f"a client was still not done after {timeout:.0f} s")
        try:
            told = link.recv()
        except EOFError:
            raise LoadError("a client has died") from None
        if isinstance(told, str):
            raise LoadError(told)
        found.append(told)
    return found


def _work(make: MakeClient, number: int, clients: int, seconds: float, link: Connection) -> None:
    """A client's process: makes itself ready, waits for the word, works, and tells."""
    try:
        client = make(number, clients)
        gc.freeze()
        gc.disable()
        link.send(None)
        link.recv()
        link.send(_worked(client, seconds))
        client.close()
    except (LoadError, OSError, EOFError) as error:
        try:
            link.send(f"client {number}: {type(error).__name__}: {error}")
        except OSError:
            pass  # nobody listens any more: the run was broken off
    except KeyboardInterrupt:
        pass  # the parent hears of it as well


def _worked(client: Client, seconds: float) -> _Tally:
    times = array("d")
    clock = time.perf_counter
    used = time.process_time()
    began = now = clock()
    end = began + seconds
    while now < end:
        try:
            times.append(client())
        except StopIteration:
            break
        now = clock()
    return _Tally(times, began, now, time.process_time() - used)
