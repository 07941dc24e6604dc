"""The workers as the supervisor sees them: processes, and the generations they come in."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from gatepost.config.sections import Daemon as Settings
from gatepost.config.settings import Config
from gatepost.log import Logger
from gatepost.service import channel
from gatepost.service.channel import NO_USAGE, Usage
from gatepost.service.child import HANDLED, Post, serve
from gatepost.service.daemon import Daemon
from gatepost.service.listeners import Listener

LONG_LIFE = 10.0
"""Seconds after which a worker's death is an accident, not a habit."""
FIRST_DELAY = 0.1
LONGEST_DELAY = 5.0


class Closable(Protocol):
    """Something with a descriptor that a child must not keep."""

    def close(self) -> None:
        """Close the descriptor."""


@dataclass(slots=True, eq=False)
class WorkerProcess:
    """One forked worker. Times are the supervisor's clock, in seconds.

    ``seen`` is when it last said something; ``closed`` is whether it accepts no
    more; ``deadline`` is when it is killed unless it has ended by itself.
    """

    pid: int
    slot: int
    channel: socket.socket
    started: float
    seen: float
    ready: bool = False
    closed: bool = False
    draining: bool = False
    deadline: float | None = None
    usage: Usage = NO_USAGE

    def order(self, message: bytes, deadline: float) -> None:
        """Tell it to retire, to drain or to quit, and when patience ends."""
        channel.send(self.channel, message)
        self.draining = True
        self.deadline = deadline if self.deadline is None else min(self.deadline, deadline)

    def kill(self) -> None:
        """End it at once. It is reaped as any other death."""
        try:
            os.kill(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # it has just ended by itself


@dataclass(slots=True, eq=False)
class Generation:
    """The workers of one state of the configuration, on the sockets that it names."""

    config: Config
    settings: Settings
    daemon: Daemon
    listeners: Sequence[Listener]
    workers: list[WorkerProcess] = field(default_factory=list)
    delay: float = 0.0
    restart_at: float | None = None

    @property
    def ready(self) -> bool:
        """Whether all its workers serve."""
        return len(self.workers) == self.settings.workers and all(worker.ready for worker in self.workers)

    @property
    def closed(self) -> bool:
        """Whether none of its workers accepts a connection any more."""
        return all(worker.closed for worker in self.workers)

    @property
    def summary(self) -> str:
        """Where it serves and with how many, for systemd."""
        addresses = ", ".join(listener.address for listener in self.listeners)
        return f"serving {addresses} with {self.settings.workers} workers"

    def died(self, worker: WorkerProcess, now: float) -> None:
        """Take a dead worker off, and choose when another follows: later and later if they die young."""
        self.workers.remove(worker)
        if now - worker.started >= LONG_LIFE:
            self.delay = 0.0
        else:
            self.delay = min(max(self.delay * 2, FIRST_DELAY), LONGEST_DELAY)
        self.restart_at = now + self.delay


def lowest_free(taken: Iterable[int]) -> int:
    """The lowest number from 0 that is not *taken*."""
    used = set(taken)
    number = 0
    while number in used:
        number += 1
    return number


def fork_worker(
    generation: Generation,
    make_post: Callable[[socket.socket], Post],
    log: Logger,
    now: float,
    forget: Iterable[Closable],
) -> WorkerProcess:
    """Start one worker of *generation*. *forget* is what of the supervisor's it must not keep open.

    Raises OSError when there is no process or descriptor to be had.
    """
    ours, theirs = channel.pair()
    post = make_post(theirs)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)
    try:
        pid = os.fork()
        if pid == 0:
            ours.close()
            for closable in forget:
                closable.close()
            log.adjust(generation.config.log.level, generation.config.log.format)
            serve(generation.daemon, post, log)
    except OSError:
        ours.close()
        raise
    finally:
        theirs.close()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    worker = WorkerProcess(pid, post.slot, ours, now, now)
    generation.workers.append(worker)
    return worker


def cause(status: int) -> dict[str, object]:
    """What a wait status says, for the log."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        try:
            return {"signal": signal.Signals(number).name}
        except ValueError:
            return {"signal": number}
    return {"status": os.waitstatus_to_exitcode(status)}
