"""All worker processes of all generations: forked, heard, judged, reaped.

The fleet looks after processes; what a death or a readiness means for the
service is its owner's to decide, who is told through :class:`Owner`.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from gatepost.log import Logger
from gatepost.metrics import forget_worker
from gatepost.service import channel
from gatepost.service.child import Post
from gatepost.service.status import Tally, WorkerState
from gatepost.service.workers import Closable, Generation, WorkerProcess, fork_worker, lowest_free

FORK_RETRY = 1.0
"""Seconds until it is tried again, when the system gave no process."""


@dataclass(frozen=True, slots=True)
class Timing:
    """How patient the supervisor is, in seconds.

    A worker beats every ``heartbeat``; silent for ``unhealthy`` it makes
    ``/healthz`` fail and the watchdog wait, for ``hung`` it is killed.
    ``start`` is how long it may take to serve, ``margin`` how long after its
    drain time it is killed, ``quit`` how long it may take when it must stop
    at once. Watched files are looked at every ``watch``. On a stop, connections
    between two messages are left open for ``linger`` where others can wait
    meanwhile: less than the 30 s for which Postfix waits for a milter.
    """

    heartbeat: float = 1.0
    unhealthy: float = 5.0
    hung: float = 15.0
    start: float = 60.0
    margin: float = 5.0
    quit: float = 2.0
    watch: float = 5.0
    linger: float = 5.0

    def within(self, watchdog: float) -> Timing:
        """The same, where systemd ends us all after so many seconds of silence: a hung worker is gone before that.

        0 means that nobody watches.
        """
        if not watchdog:
            return self
        third = watchdog / 3
        return replace(
            self,
            heartbeat=min(self.heartbeat, third / 4),
            hung=min(self.hung, third),
            unhealthy=min(self.unhealthy, third),
        )


class Owner(Protocol):
    """Who is told what becomes of workers."""

    def serves(self, generation: Generation) -> None:
        """Every worker of *generation* serves now."""

    def died(self, generation: Generation, worker: WorkerProcess, status: int) -> None:
        """*worker* is gone, without having been told to; *status* is its wait status."""

    def drained(self, generation: Generation) -> None:
        """The last worker of a *generation* that was told to drain is gone."""


class Fleet:
    """The worker processes. ``generations`` is in the owner's hands: who is in it is looked after."""

    def __init__(
        self,
        owner: Owner,
        selector: selectors.BaseSelector,
        directory: Path,
        timing: Timing,
        tally: Tally,
        log: Logger,
        not_for: Callable[[Generation], Iterable[Closable]],
    ) -> None:
        self.generations: list[Generation] = []
        self._owner = owner
        self._selector = selector
        self._directory = directory
        self._timing = timing
        self._tally = tally
        self._log = log
        self._not_for = not_for
        self._judged = time.monotonic()

    def __iter__(self) -> Iterator[tuple[Generation, WorkerProcess]]:
        return iter(
            [(generation, worker) for generation in self.generations for worker in generation.workers]
        )

    def states(self) -> list[WorkerState]:
        """All workers as they are now, by number."""
        now = time.monotonic()
        states = [
            WorkerState(worker.slot, worker.pid, now - worker.seen, worker.ready, worker.usage)
            for _, worker in self
        ]
        return sorted(states, key=lambda state: state.slot)

    def silent(self) -> WorkerProcess | None:
        """A worker that has said nothing for too long, if there is one."""
        now = time.monotonic()
        return next((worker for _, worker in self if now - worker.seen > self._timing.unhealthy), None)

    def populate(self, generation: Generation) -> None:
        """Fork the workers that *generation* lacks."""
        generation.restart_at = None
        now = time.monotonic()
        while len(generation.workers) < generation.settings.workers:
            slot = lowest_free(worker.slot for _, worker in self)
            closed = [*self._not_for(generation), *(worker.channel for _, worker in self)]
            try:
                worker = fork_worker(generation, self._poster(generation, slot), self._log, now, closed)
            except OSError as error:
                self._log.event("error", "cannot start a worker", error=error.strerror)
                generation.restart_at = now + FORK_RETRY
                return
            self._selector.register(
                worker.channel, selectors.EVENT_READ, lambda _events, g=generation, w=worker: self.hear(g, w)
            )

    def _poster(self, generation: Generation, slot: int) -> Callable[[socket.socket], Post]:
        def make_post(end: socket.socket) -> Post:
            return Post(
                slot,
                end,
                [listener.socket for listener in generation.listeners],
                self._directory,
                generation.settings.engine == "asyncio",
                generation.settings.drain_timeout,
                self._timing.heartbeat,
            )

        return make_post

    def repopulate(self) -> None:
        """Replace dead workers whose pause is over."""
        now = time.monotonic()
        for generation in self.generations:
            if generation.restart_at is not None and generation.restart_at <= now:
                self.populate(generation)

    @property
    def next_restart(self) -> float | None:
        """When a dead worker is to be replaced, on the clock of ``time.monotonic``."""
        return min((g.restart_at for g in self.generations if g.restart_at is not None), default=None)

    def retire(self, generation: Generation) -> None:
        """Tell *generation* that others serve instead, so that it can go as soon as nobody needs it."""
        self._dismiss(generation, channel.RETIRE)

    def drain(self, generation: Generation) -> None:
        """Tell *generation* to finish and go; nobody is replaced any more."""
        self._dismiss(generation, channel.DRAIN)

    def _dismiss(self, generation: Generation, order: bytes) -> None:
        generation.restart_at = None
        patience = generation.settings.drain_timeout + self._timing.margin
        for worker in generation.workers:
            worker.order(order, time.monotonic() + patience)
        if not generation.workers and generation in self.generations:
            self.generations.remove(generation)

    def quit(self) -> None:
        """Tell all to go at once."""
        for _, worker in self:
            worker.order(channel.QUIT, time.monotonic() + self._timing.quit)

    def hear(self, generation: Generation, worker: WorkerProcess) -> None:
        """Take what *worker* has said."""
        while message := channel.receive(worker.channel):
            worker.seen = time.monotonic()
            usage = channel.read_heartbeat(message)
            if usage is not None:
                worker.usage = usage
            elif message == channel.READY:
                worker.ready = True
                if generation.ready:
                    self._owner.serves(generation)
            elif message == channel.CLOSED:
                worker.closed = True
        if message == b"":
            # It has ended, or is about to; waitpid tells the rest. Listening on would spin.
            self._unlisten(worker)

    def _unlisten(self, worker: WorkerProcess) -> None:
        # It may be unregistered already (KeyError), or closed by another event of this turn (ValueError).
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(worker.channel)

    def reap(self) -> None:
        """Bury the dead. Only processes of our own are waited for."""
        for generation, worker in self:
            try:
                pid, status, used = os.wait4(worker.pid, os.WNOHANG)
            except ChildProcessError:  # somebody else has waited for it: there is nothing to learn
                pid, status = worker.pid, 0
            else:
                if pid:
                    self._tally.spent += used.ru_utime + used.ru_stime
            if pid:
                self._unlisten(worker)
                worker.channel.close()
                forget_worker(self._directory, worker.slot)
                self._bury(generation, worker, status)

    def _bury(self, generation: Generation, worker: WorkerProcess, status: int) -> None:
        if not worker.draining:
            generation.died(worker, time.monotonic())
            self._owner.died(generation, worker, status)
            return
        generation.workers.remove(worker)
        if not generation.workers:
            self.generations.remove(generation)
            self._owner.drained(generation)

    def judge(self) -> None:
        """Kill what hangs, what does not come up, and what does not go. To be called every heartbeat."""
        now = time.monotonic()
        if now - self._judged > 3 * self._timing.heartbeat:
            # It was us who were away (a long reload, a stopped process): nobody's silence counts.
            for _, worker in self:
                worker.seen = max(worker.seen, now - self._timing.heartbeat)
        self._judged = now
        for _, worker in self:
            fault = self._fault(worker, now)
            if fault:
                self._log.event("error", f"{fault}: killing it", worker=worker.slot, pid=worker.pid)
                worker.kill()
                # Should it survive that, it is due again after a while.
                worker.seen = worker.started = now
                if worker.deadline is not None:
                    worker.deadline = now + self._timing.margin

    def _fault(self, worker: WorkerProcess, now: float) -> str:
        if worker.deadline is not None:
            return "a worker did not stop in time" if worker.deadline <= now else ""
        if now - worker.seen > self._timing.hung:
            return "a worker hangs"
        if not worker.ready and now - worker.started > self._timing.start:
            return "a worker does not come up"
        return ""
