"""A worker's process, from the fork to its end."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import uvloop

from gatepost.log import Logger, adopt_libraries
from gatepost.metrics import Metrics, share_through
from gatepost.service import channel
from gatepost.service.daemon import Daemon

HANDLED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
"""The signals that the supervisor handles; blocked across the fork, so that none meets a half-made child."""


@dataclass(frozen=True, slots=True)
class Post:
    """What a worker is given: its number, its way to the supervisor, and its habits (in seconds)."""

    slot: int
    channel: socket.socket
    sockets: Sequence[socket.socket]
    metrics_directory: Path
    uvloop: bool
    drain_timeout: float
    heartbeat: float


def serve(daemon: Daemon, post: Post, log: Logger) -> NoReturn:
    """Be a worker: serve until told to stop, then leave the process. Called right after the fork."""
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # a terminal sends them to all; the supervisor decides
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        log.forked()
        adopt_libraries(log)
        _count(post, log)
        factory = uvloop.new_event_loop if post.uvloop else asyncio.new_event_loop
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(_live(daemon, post, log))
        status = 0
    except BaseException as error:
        log.failure("worker failed", error, worker=post.slot)
    finally:
        # No clean-up of the supervisor's state that we are a copy of.
        os._exit(status)


def _count(post: Post, log: Logger) -> None:
    """Let this worker's metrics be added to those of the others. On a full disk, mail goes on without."""
    try:
        share_through(post.metrics_directory, post.slot)
    except OSError as error:
        log.event("error", "this worker's metrics are not counted", worker=post.slot, error=error.strerror)


class _Orders:
    """What the worker is told: to retire or to drain, then perhaps to quit."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._loop = asyncio.get_running_loop()
        self.leave = asyncio.Event()
        self.hurry = asyncio.Event()
        self.quit = asyncio.Event()
        self._loop.add_reader(end, self._read)
        self._loop.add_signal_handler(signal.SIGTERM, self._drain)

    def _drain(self) -> None:
        self.hurry.set()
        self.leave.set()

    def _read(self) -> None:
        while (message := channel.receive(self._end)) is not None:
            if message == channel.QUIT:
                self.quit.set()
            if message == channel.RETIRE:
                self.leave.set()
            else:
                self._drain()  # also when the supervisor is gone
            if not message:
                self._loop.remove_reader(self._end)
                return


async def _live(daemon: Daemon, post: Post, log: Logger) -> None:
    loop = asyncio.get_running_loop()
    orders = _Orders(post.channel)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)

    def beat() -> None:
        channel.send(post.channel, channel.heartbeat(channel.own_usage()))
        loop.call_later(post.heartbeat, beat)

    beat()
    worker = daemon.worker(log, Metrics(daemon.name))
    await worker.start(post.sockets)
    channel.send(post.channel, channel.READY)
    await orders.leave.wait()
    worker.close()
    channel.send(post.channel, channel.CLOSED)

    grace = 0.0 if orders.quit.is_set() else post.drain_timeout
    stopping = asyncio.ensure_future(worker.stop(grace, orders.hurry))
    quitting = asyncio.ensure_future(orders.quit.wait())
    # The daemon keeps to the time it is given; the extra second is for one that does not.
    await asyncio.wait(
        {stopping, quitting}, timeout=post.drain_timeout + 1, return_when=asyncio.FIRST_COMPLETED
    )
    if not stopping.done() and orders.quit.is_set():
        await asyncio.wait({stopping}, timeout=0.1)
    if stopping.done():
        stopping.result()
    else:
        log.event("warning", "work in flight was cut", worker=post.slot)
        os._exit(0)
    quitting.cancel()
