"""The process that holds the sockets and looks after the workers.

It serves nobody itself (its metrics page excepted), so that nothing a mail
can hold ever reaches it. One thread, one selector, no event loop: it has to be
able to fork at any time.

A *generation* is the workers of one state of the configuration. A reload
starts a new one on the same sockets, and only when all its workers serve is
the old one told to retire: a new configuration that does not work costs nothing.
"""

from __future__ import annotations

import contextlib
import gc
import os
import selectors
import signal
import time
from collections.abc import Callable, MutableMapping
from dataclasses import replace
from typing import Literal

from gatepost.config.settings import Config
from gatepost.log import Logger
from gatepost.service import descriptors, privileges, scratch, takeover
from gatepost.service.candidate import Candidates, identity_of, settings_of
from gatepost.service.child import HANDLED
from gatepost.service.daemon import Build, ServiceError
from gatepost.service.fleet import Fleet, Timing
from gatepost.service.http import Responder
from gatepost.service.listeners import Listeners
from gatepost.service.notify import Notifier
from gatepost.service.page import Page
from gatepost.service.status import Status, Tally
from gatepost.service.wakeup import Wakeup
from gatepost.service.watch import Watch
from gatepost.service.workers import Closable, Generation, WorkerProcess, cause

__all__ = ["Supervisor", "Timing"]

USUAL = Timing()

Phase = Literal["starting", "running", "stopping"]


class Supervisor:
    """Runs the daemon called *name*.

    *load* reads the configuration, *build* makes the daemon from it; both
    raise ConfigError, and both are called again for each reload.
    *environment* is taken from systemd (the variables that pass sockets are removed).
    """

    def __init__(
        self,
        name: str,
        load: Callable[[], Config],
        build: Build,
        environment: MutableMapping[str, str] = os.environ,
        timing: Timing = USUAL,
        stream: int = 2,
    ) -> None:
        self._name = name
        self._load = load
        self._build = build
        self._environment = environment
        self._notifier = Notifier(environment)
        if self._notifier.watchdog:  # a hung worker has to be gone before systemd ends us all
            third = self._notifier.watchdog / 3
            timing = replace(
                timing,
                heartbeat=min(timing.heartbeat, third / 4),
                hung=min(timing.hung, third),
                unhealthy=min(timing.unhealthy, third),
            )
        self._timing = timing
        self._log = Logger(daemon=name, stream=stream)
        self._tally = Tally()
        self._phase: Phase = "starting"
        self._exit = 0
        self._next: Generation | None = None
        self._reload_wanted = ""
        self._tick_due = self._watch_due = self._watchdog_due = time.monotonic()

    def run(self) -> int:
        """Serve until told to stop, and return the exit status.

        Raises ServiceError and ConfigError for what prevents the start; what
        was done until then is undone.
        """
        with contextlib.ExitStack() as stack:
            stack.callback(self._notifier.close)
            self._prepare(stack)
            while self._phase != "stopping" or self._fleet.generations:
                for key, events in self._selector.select(self._pause()):
                    key.data(events)
                self._do_what_is_due()
            self._log.event("info", "stopped")
        return self._exit

    # Starting

    def _prepare(self, stack: contextlib.ExitStack) -> None:
        descriptors.raise_limit()
        self._selector = selectors.DefaultSelector()
        stack.callback(self._selector.close)
        self._page = Page(
            Responder(self._selector, lambda path, accept: self._status.answer(path, accept), time.monotonic)
        )
        stack.callback(self._page.close)
        self._listeners = Listeners()
        self._wakeup = Wakeup(HANDLED)
        stack.callback(self._wakeup.close)
        self._selector.register(self._wakeup.reader, selectors.EVENT_READ, self._signalled)

        config = self._load()
        settings = settings_of(config, self._name)
        self._log.adjust(config.log.level, config.log.format)
        owner = identity_of(config, self._name)
        privileges.check(owner)
        inherited = takeover.take_over(self._name, config.daemons, self._environment, self._page, self._log)
        self._listeners = Listeners(inherited)
        stack.callback(self._listeners.close)
        opened = self._listeners.open(settings.socket, owner)
        takeover.tell(inherited, self._listeners, self._log)
        self._page.listen(settings.metrics)
        daemon = self._build(config)
        self._directory = scratch.make_directory(self._name, self._environment, owner)
        stack.callback(scratch.remove_directory, self._directory)
        self._fleet = Fleet(
            self, self._selector, self._directory, self._timing, self._tally, self._log, self._not_for
        )
        self._status = Status(
            self._name,
            self._directory,
            self._tally,
            self._fleet.states,
            self._problem,
            lambda: self._current.daemon.collect(),
        )
        privileges.drop(owner)
        if os.geteuid() == 0:
            self._log.event("warning", "runs as root: set `user:` to an account of its own")
        gc.collect()
        gc.freeze()  # what is here now is shared with all workers; let no collection write into it
        self._candidates = Candidates(
            self._name, self._load, self._build, self._listeners, self._page, self._log
        )
        self._current = Generation(config, settings, daemon, opened)
        self._watch = Watch(daemon.watched_files())
        self._begin(self._current)

    def _begin(self, generation: Generation) -> None:
        self._fleet.generations.append(generation)
        self._fleet.populate(generation)

    def _not_for(self, generation: Generation) -> list[Closable]:
        """The descriptors of ours that are no business of *generation*'s workers."""
        kept = {id(listener) for listener in generation.listeners}
        return [
            self._selector,
            self._notifier,
            *self._wakeup.ends,
            *self._page.sockets,
            *(listener.socket for listener in self._listeners.all if id(listener) not in kept),
        ]

    # What the fleet tells

    def serves(self, generation: Generation) -> None:
        """All workers of *generation* serve: the service is ready, or a reload is done."""
        if generation is self._next and self._phase == "running":
            self._switch(generation)
        elif self._phase == "starting":
            self._phase = "running"
            self._log.event(
                "info",
                "ready",
                address=[listener.address for listener in generation.listeners],
                metrics=self._page.address,
                workers=len(generation.workers),
            )
            self._notifier.ready(self._summary(generation))

    def died(self, generation: Generation, worker: WorkerProcess, status: int) -> None:
        """A worker died that should not have: give up a start or a reload, or replace it."""
        facts = cause(status)
        if self._phase == "starting":
            self._log.event(
                "error", "a worker died before it served: not starting", worker=worker.slot, **facts
            )
            self._exit = 1
            self._stop()
        elif generation is self._next:
            self._log.event("error", "a new worker died before it served", worker=worker.slot, **facts)
            self._abandon(generation)
        else:
            self._tally.restarts += 1
            self._log.event(
                "error",
                "a worker died; starting another",
                worker=worker.slot,
                seconds=generation.delay,
                **facts,
            )

    def drained(self, generation: Generation) -> None:
        """A generation is gone for good."""
        if self._phase == "running":
            self._log.event("info", "the old workers are done")

    def _summary(self, generation: Generation) -> str:
        addresses = ", ".join(listener.address for listener in generation.listeners)
        return f"serving {addresses} with {generation.settings.workers} workers"

    def _problem(self) -> str:
        """What ``/healthz`` complains of."""
        if self._phase != "running":
            return self._phase
        silent = self._fleet.silent()
        if silent is not None:
            return f"worker {silent.slot} does not answer"
        return "" if self._current.ready else "a worker is missing"

    # Reloading

    def _reload(self, why: str) -> None:
        self._reload_wanted = ""
        self._tally.reload_attempts += 1
        self._notifier.reloading()
        self._watch = Watch(self._current.daemon.watched_files())
        self._next = self._candidates.next(self._current)
        if self._next is None:
            self._reload_failed()
            return
        self._watch = Watch(self._next.daemon.watched_files())
        self._log.event("info", "reloading", reason=why)
        self._begin(self._next)

    def _reload_failed(self) -> None:
        self._tally.reload_failures += 1
        self._tally.reload_succeeded = False
        self._log.event("error", "not reloaded: the old configuration stays in force")
        self._notifier.ready("not reloaded: see the log; " + self._summary(self._current))

    def _switch(self, generation: Generation) -> None:
        """The new generation serves: it is the current one now, and the old one may go."""
        old, self._current, self._next = self._current, generation, None
        self._log.adjust(generation.config.log.level, generation.config.log.format)
        self._listeners.keep_only(generation.listeners)
        self._tally.reload_succeeded = True
        self._tally.reloaded = time.time()
        self._fleet.retire(old)
        self._log.event("info", "reloaded", workers=len(generation.workers))
        self._notifier.ready(self._summary(generation))

    def _abandon(self, generation: Generation) -> None:
        """The new generation does not work: back to the old one."""
        self._next = None
        self._fleet.retire(generation)
        self._listeners.keep_only(self._current.listeners)
        try:
            self._page.listen(self._current.settings.metrics)
        except ServiceError as error:
            self._log.event("error", str(error))
        self._watch = Watch(self._current.daemon.watched_files())
        self._reload_failed()

    # Stopping

    def _signalled(self, _events: int) -> None:
        numbers = self._wakeup.arrived()
        if numbers & {signal.SIGTERM, signal.SIGINT}:
            self._stop()
        if signal.SIGHUP in numbers and self._phase != "stopping":
            self._reload_wanted = "SIGHUP"
        if signal.SIGCHLD in numbers:
            self._fleet.reap()

    def _stop(self) -> None:
        """Stop accepting and let the workers finish; told again, let them go at once."""
        if self._phase == "stopping":
            self._log.event("warning", "told again to stop: stopping at once")
            self._fleet.quit()
            return
        self._phase = "stopping"
        generations = list(self._fleet.generations)
        longest = max((generation.settings.drain_timeout for generation in generations), default=0.0)
        self._log.event("info", "stopping", drain_timeout=longest)
        self._notifier.stopping("finishing what is in flight", longest + self._timing.margin)
        self._listeners.close()
        for generation in generations:
            self._fleet.drain(generation)

    # Time

    def _pause(self) -> float:
        """How long nothing is due."""
        restart = self._fleet.next_restart
        due = self._tick_due if restart is None else min(restart, self._tick_due)
        return max(0.0, due - time.monotonic())

    def _do_what_is_due(self) -> None:
        now = time.monotonic()
        self._fleet.repopulate()
        if self._reload_wanted and self._phase == "running" and self._next is None:
            self._reload(self._reload_wanted)
        if now < self._tick_due:
            return
        self._tick_due = now + self._timing.heartbeat / 2
        self._page.expire()
        self._fleet.reap()
        self._fleet.judge()
        if now >= self._watch_due:
            self._watch_due = now + self._timing.watch
            if self._phase == "running" and (changed := self._watch.changed()):
                self._reload_wanted = f"{changed[0]} changed"
        if self._notifier.watchdog and now >= self._watchdog_due:
            self._watchdog_due = now + self._notifier.watchdog / 4
            if self._fleet.silent() is None:
                self._notifier.alive()
