"""The process that holds the sockets and looks after the workers.

It serves nobody itself (its metrics page excepted), so that nothing a mail
can hold ever reaches it. One thread, one selector, no event loop: it has to be
able to fork at any time.

A *generation* is the workers of one state of the configuration. A reload
starts a new one on the same sockets, and only when all its workers serve is
the old one told to retire: a new configuration that does not work costs nothing.
The reload is done when the old one accepts no more: what connects after that
meets the new configuration.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import time
from collections.abc import Callable, MutableMapping
from typing import Literal

from gatepost.config.settings import Config
from gatepost.log import Logger
from gatepost.service import descriptors, privileges, scratch, takeover
from gatepost.service.candidate import Candidates, identity_of, settings_of
from gatepost.service.daemon import Build, ServiceError
from gatepost.service.fleet import Fleet, Timing
from gatepost.service.holdings import Holdings
from gatepost.service.listeners import Listeners
from gatepost.service.notify import Notifier
from gatepost.service.status import Status, Tally
from gatepost.service.timetable import Timetable
from gatepost.service.watch import Watch
from gatepost.service.workers import Generation, WorkerProcess, cause

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
        self._timing = timing.within(self._notifier.watchdog)
        self._log = Logger(daemon=name, stream=stream)
        self._tally = Tally()
        self._phase: Phase = "starting"
        self._exit = 0
        self._next: Generation | None = None
        self._former: Generation | None = None
        self._reload_wanted = ""
        self._timetable = Timetable()

    def run(self) -> int:
        """Serve until told to stop, and return the exit status.

        Raises ServiceError and ConfigError for what prevents the start; what
        was done until then is undone.
        """
        with contextlib.ExitStack() as stack:
            stack.callback(self._notifier.close)
            self._prepare(stack)
            while self._phase != "stopping" or self._fleet.generations:
                for key, events in self._held.selector.select(self._pause()):
                    key.data(events)
                self._do_what_is_due()
            self._log.event("info", "stopped")
        return self._exit

    # Starting

    def _prepare(self, stack: contextlib.ExitStack) -> None:
        descriptors.raise_limit()
        self._held = held = Holdings(
            self._notifier, lambda path, accept: self._status.answer(path, accept), self._signalled, stack
        )
        config = self._load()
        settings = settings_of(config, self._name)
        self._log.adjust(config.log.level, config.log.format)
        owner = identity_of(config, self._name)
        privileges.check(owner)
        inherited = takeover.take_over(self._name, config.daemons, self._environment, held.page, self._log)
        held.listeners = Listeners(inherited)
        stack.callback(held.listeners.close)
        opened = held.listeners.open(settings.socket, owner)
        takeover.tell(inherited, held.listeners, self._log)
        held.page.listen(settings.metrics)
        daemon = self._build(config)
        self._directory = stack.enter_context(scratch.directory(self._name, self._environment, owner))
        self._fleet = Fleet(
            self, held.selector, self._directory, self._timing, self._tally, self._log, held.not_for
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
            self._name, self._load, self._build, held.listeners, held.page, self._log
        )
        self._current = Generation(config, settings, daemon, opened)
        self._watch = Watch(daemon.watched_files())
        self._begin(self._current)
        self._keep_time()

    def _begin(self, generation: Generation) -> None:
        self._fleet.generations.append(generation)
        self._fleet.populate(generation)

    # What the fleet tells

    def serves(self, generation: Generation) -> None:
        """All workers of *generation* serve: the service is ready, or the old ones may go."""
        if generation is self._next and self._phase == "running":
            self._switch(generation)
        elif self._phase == "starting":
            self._phase = "running"
            self._log.event(
                "info",
                "ready",
                address=[listener.address for listener in generation.listeners],
                metrics=self._held.page.address,
                workers=len(generation.workers),
            )
            self._notifier.ready(generation.summary)

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
        self._tally.reloaded_in_vain()
        self._log.event("error", "not reloaded: the old configuration stays in force")
        self._notifier.ready("not reloaded: see the log; " + self._current.summary)

    def _switch(self, generation: Generation) -> None:
        """The new generation serves: it is the current one now, and the old one may go."""
        self._former, self._current, self._next = self._current, generation, None
        self._log.adjust(generation.config.log.level, generation.config.log.format)
        self._held.listeners.keep_only(generation.listeners)
        self._fleet.retire(self._former)

    def _reloaded(self) -> None:
        """Nobody of the old generation accepts any more: nothing new meets the old configuration."""
        self._former = None
        self._tally.reloaded_now()
        self._log.event("info", "reloaded", workers=len(self._current.workers))
        self._notifier.ready(self._current.summary)

    def _abandon(self, generation: Generation) -> None:
        """The new generation does not work: back to the old one."""
        self._next = None
        self._fleet.retire(generation)
        self._held.listeners.keep_only(self._current.listeners)
        try:
            self._held.page.listen(self._current.settings.metrics)
        except ServiceError as error:
            self._log.event("error", str(error))
        self._watch = Watch(self._current.daemon.watched_files())
        self._reload_failed()

    # Stopping

    def _signalled(self, _events: int) -> None:
        numbers = self._held.wakeup.arrived()
        if numbers & {signal.SIGTERM, signal.SIGINT}:
            self._stop()
        if signal.SIGHUP in numbers and self._phase != "stopping":
            self._reload_wanted = "SIGHUP"
        if signal.SIGCHLD in numbers:
            self._fleet.reap()

    def _stop(self) -> None:
        """Stop accepting and let the workers finish; told again, let them go at once.

        Where systemd keeps the sockets open, new connections wait for the next
        process, and those that are open have a while for their next message.
        """
        if self._phase == "stopping":
            self._log.event("warning", "told again to stop: stopping at once")
            self._fleet.quit()
            return
        self._phase = "stopping"
        generations = list(self._fleet.generations)
        longest = max((generation.settings.drain_timeout for generation in generations), default=0.0)
        self._log.event("info", "stopping", drain_timeout=longest)
        self._notifier.stopping("finishing what is in flight", longest + self._timing.margin)
        lingers = all(listener.from_systemd for listener in self._held.listeners.all)
        self._held.listeners.close()
        if not lingers:
            self._drain()
            return
        for generation in generations:
            self._fleet.retire(generation)
        self._timetable.once(self._timing.linger, self._drain)

    def _drain(self) -> None:
        for generation in list(self._fleet.generations):
            self._fleet.drain(generation)

    # Time

    def _keep_time(self) -> None:
        """Enter what is to be done again and again."""
        self._timetable.every(self._timing.heartbeat / 2, self._look_after_all)
        self._timetable.every(self._timing.watch, self._look_at_files)
        if self._notifier.watchdog:
            self._timetable.every(self._notifier.watchdog / 4, self._show_life)

    def _pause(self) -> float:
        """How long nothing is due."""
        pause, restart = self._timetable.pause(), self._fleet.next_restart
        return pause if restart is None else max(0.0, min(pause, restart - time.monotonic()))

    def _do_what_is_due(self) -> None:
        self._fleet.repopulate()
        if self._phase == "running":
            if self._former is not None and self._former.closed:
                self._reloaded()
            if self._reload_wanted and self._next is None and self._former is None:
                self._reload(self._reload_wanted)
        self._timetable.do_what_is_due()

    def _look_after_all(self) -> None:
        self._held.page.expire()
        self._fleet.reap()
        self._fleet.judge()

    def _look_at_files(self) -> None:
        if self._phase == "running" and (changed := self._watch.changed()):
            self._reload_wanted = f"{changed[0]} changed"

    def _show_life(self) -> None:
        if self._fleet.silent() is None:
            self._notifier.alive()
