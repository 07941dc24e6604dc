"""The process that holds the sockets and looks after the workers.

It serves nobody itself (its metrics page excepted), so that nothing a mail
can hold ever reaches it. One thread, one selector, no event loop: it has to be
able to fork at any time.

A *generation* is the workers of one state of the configuration. A reload
starts a new one on the same sockets, and only when all its workers serve is
the old one told to drain: a new configuration that does not work costs nothing.
"""

from __future__ import annotations

import contextlib
import gc
import os
import selectors
import signal
import socket
import time
from collections.abc import Callable, Iterator, MutableMapping
from dataclasses import dataclass, replace
from typing import Literal

from gatepost.config.errors import ConfigError
from gatepost.config.settings import Config
from gatepost.config.settings import Daemon as Settings
from gatepost.log import Logger
from gatepost.metrics import forget_worker
from gatepost.service import channel, privileges, scratch
from gatepost.service.activation import Inherited, inherited_sockets
from gatepost.service.child import HANDLED, Post
from gatepost.service.daemon import Build, ServiceError
from gatepost.service.http import Responder
from gatepost.service.listeners import Listener, Listeners, bind_metrics
from gatepost.service.notify import Notifier
from gatepost.service.status import Status, Tally, WorkerState
from gatepost.service.watch import Watch
from gatepost.service.workers import Closable, Generation, WorkerProcess, cause, fork_worker, lowest_free


@dataclass(frozen=True, slots=True)
class Timing:
    """How patient the supervisor is, in seconds.

    A worker beats every ``heartbeat``; silent for ``unhealthy`` it makes
    ``/healthz`` fail and the watchdog wait, for ``hung`` it is killed.
    ``start`` is how long it may take to serve, ``margin`` how long after its
    drain time it is killed. Watched files are looked at every ``watch``.
    """

    heartbeat: float = 1.0
    unhealthy: float = 5.0
    hung: float = 15.0
    start: float = 60.0
    margin: float = 5.0
    quit: float = 2.0
    watch: float = 5.0


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
        timing: Timing = Timing(),
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
        self._current: Generation | None = None
        self._next: Generation | None = None
        self._old: list[Generation] = []
        self._reload_wanted = ""
        self._tick_due = self._watch_due = self._watchdog_due = self._ticked = time.monotonic()

    def run(self) -> int:
        """Serve until told to stop, and return the exit status.

        Raises ServiceError and ConfigError for what prevents the start; both
        are then undone.
        """
        with contextlib.ExitStack() as stack:
            stack.callback(self._notifier.close)
            self._prepare(stack)
            while not self._finished():
                for key, events in self._selector.select(self._pause()):
                    key.data(events)
                self._supervise()
        return self._exit

    # Starting

    def _prepare(self, stack: contextlib.ExitStack) -> None:
        self._selector = selectors.DefaultSelector()
        stack.callback(self._selector.close)
        self._responder = Responder(self._selector, lambda p, a: self._status.answer(p, a), time.monotonic)
        self._metrics_listener: Listener | None = None
        self._listeners = Listeners()
        self._catch_signals(stack)

        config = self._load()
        settings = self._settings(config)
        self._log.adjust(config.log.level, config.log.format)
        owner = self._identity(config)
        privileges.check(owner)
        inherited = self._inherited(config)
        self._listeners = Listeners(inherited)
        stack.callback(self._listeners.close)
        opened = self._listeners.open(settings.socket, owner)
        self._tell_inherited(inherited)
        stack.callback(self._close_metrics)
        self._listen_metrics(settings)
        daemon = self._build(config)
        self._directory = scratch.make_directory(self._name, self._environment, owner)
        stack.callback(scratch.remove_directory, self._directory)
        self._status = Status(self._name, self._directory, self._tally, self._states, self._problem)
        privileges.drop(owner)
        if os.geteuid() == 0:
            self._log.event("warning", "runs as root: set `user:` to an account of its own")
        gc.collect()
        gc.freeze()  # what is here now is shared with all workers; let no collection write into it
        self._current = Generation(config, settings, daemon, opened)
        self._watch = Watch(daemon.watched_files())
        self._populate(self._current)

    def _catch_signals(self, stack: contextlib.ExitStack) -> None:
        reader, writer = socket.socketpair()
        self._wakeup = (reader, writer)
        for end in self._wakeup:
            end.setblocking(False)
            stack.callback(end.close)
        before = {number: signal.signal(number, lambda _number, _frame: None) for number in HANDLED}
        stack.callback(lambda: [signal.signal(number, handler) for number, handler in before.items()])
        signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        stack.callback(signal.set_wakeup_fd, -1)
        self._selector.register(reader, selectors.EVENT_READ, self._signalled)

    def _settings(self, config: Config) -> Settings:
        settings = config.daemons.get(self._name)
        if settings is None:
            known = ", ".join(config.daemons)
            raise ServiceError(f"the configuration has no daemon {self._name} (it has: {known})")
        return settings

    def _identity(self, config: Config) -> privileges.Identity | None:
        settings = self._settings(config)
        return privileges.identity(settings.user or config.user, settings.group or config.group)

    def _inherited(self, config: Config) -> list[Inherited]:
        """The sockets from systemd that are for this daemon, and its metrics address if there is one."""
        ours = []
        for entry in inherited_sockets(self._environment):
            if entry.name == "metrics" and self._metrics_listener is None:
                self._metrics_listener = Listener(entry.address, entry.socket, from_systemd=True)
            elif entry.name != self._name and entry.name in config.daemons:
                self._log.event("warning", "left a socket from systemd to its own daemon", socket=entry.name)
                entry.socket.close()
            else:
                ours.append(entry)
        return ours

    def _tell_inherited(self, inherited: list[Inherited]) -> None:
        for entry in inherited:
            self._log.event("info", "took a socket from systemd", name=entry.name, address=entry.address)
        for address in self._listeners.unasked:
            self._log.event(
                "warning",
                "systemd passed an address that `socket:` does not name; serving it too",
                address=address,
            )

    def _listen_metrics(self, settings: Settings) -> None:
        """Serve the metrics page where the configuration says. Raises ServiceError, leaving all as it was."""
        old = self._metrics_listener
        if old is not None and old.from_systemd:
            self._responder.listen(old.socket)
            return
        address = settings.metrics
        if address is not None and old is not None and old.address == str(address):
            return
        self._metrics_listener = None if address is None else bind_metrics(address)
        self._responder.listen(None if self._metrics_listener is None else self._metrics_listener.socket)
        if old is not None:
            old.close()

    def _close_metrics(self) -> None:
        self._responder.close()
        if self._metrics_listener is not None:
            self._metrics_listener.close()

    # Workers

    def _generations(self) -> Iterator[Generation]:
        for generation in (self._current, self._next, *self._old):
            if generation is not None:
                yield generation

    def _workers(self) -> Iterator[tuple[Generation, WorkerProcess]]:
        for generation in self._generations():
            for worker in tuple(generation.workers):
                yield generation, worker

    def _states(self) -> list[WorkerState]:
        now = time.monotonic()
        states = [
            WorkerState(worker.slot, worker.pid, now - worker.seen, worker.ready, worker.usage)
            for _, worker in self._workers()
        ]
        return sorted(states, key=lambda state: state.slot)

    def _problem(self) -> str:
        """What ``/healthz`` complains of."""
        if self._phase != "running":
            return self._phase
        now = time.monotonic()
        for _, worker in self._workers():
            if now - worker.seen > self._timing.unhealthy:
                return f"worker {worker.slot} does not answer"
        return "" if self._current is not None and self._current.ready else "a worker is missing"

    def _populate(self, generation: Generation) -> None:
        """Fork the workers that *generation* lacks."""
        generation.restart_at = None
        now = time.monotonic()
        while len(generation.workers) < generation.settings.workers:
            slot = lowest_free(worker.slot for _, worker in self._workers())

            def make_post(end: socket.socket, slot: int = slot) -> Post:
                return Post(
                    slot,
                    end,
                    [listener.socket for listener in generation.listeners],
                    self._directory,
                    generation.settings.engine == "asyncio",
                    generation.settings.drain_timeout,
                    self._timing.heartbeat,
                )

            try:
                worker = fork_worker(generation, make_post, self._log, now, self._not_for(generation))
            except OSError as error:
                self._log.event("error", "cannot start a worker", error=error.strerror)
                generation.restart_at = now + 1.0
                return
            self._selector.register(
                worker.channel, selectors.EVENT_READ, lambda _events, g=generation, w=worker: self._hear(g, w)
            )

    def _not_for(self, generation: Generation) -> list[Closable]:
        """The descriptors that are no business of *generation*'s workers."""
        kept = {id(listener) for listener in generation.listeners}
        return [
            self._selector,
            self._notifier,
            *self._wakeup,
            *self._responder.sockets,
            *(worker.channel for _, worker in self._workers()),
            *(listener.socket for listener in self._listeners.all if id(listener) not in kept),
        ]

    def _hear(self, generation: Generation, worker: WorkerProcess) -> None:
        while message := channel.receive(worker.channel):
            worker.seen = time.monotonic()
            usage = channel.read_heartbeat(message)
            if usage is not None:
                worker.usage = usage
            elif message == channel.READY:
                worker.ready = True
                self._check_ready(generation)
        if message == b"":
            # It has ended, or is about to; waitpid tells the rest. Listening on would spin.
            with contextlib.suppress(KeyError):
                self._selector.unregister(worker.channel)

    def _check_ready(self, generation: Generation) -> None:
        if not generation.ready:
            return
        if generation is self._next:
            self._switch(generation)
        elif self._phase == "starting":
            self._phase = "running"
            addresses = [listener.address for listener in generation.listeners]
            self._log.event(
                "info",
                "ready",
                address=addresses,
                metrics=self._metrics_listener.address if self._metrics_listener is not None else None,
                workers=len(generation.workers),
            )
            self._notifier.ready(self._summary(generation))

    def _summary(self, generation: Generation) -> str:
        addresses = ", ".join(listener.address for listener in generation.listeners)
        return f"serving {addresses} with {len(generation.workers)} workers"

    def _reap(self) -> None:
        for generation, worker in list(self._workers()):
            try:
                pid, status, used = os.wait4(worker.pid, os.WNOHANG)
            except ChildProcessError:
                pid, status, used = worker.pid, 0, None
            if pid == worker.pid:
                if used is not None:
                    self._tally.spent += used.ru_utime + used.ru_stime
                self._buried(generation, worker, status)

    def _buried(self, generation: Generation, worker: WorkerProcess, status: int) -> None:
        with contextlib.suppress(KeyError):
            self._selector.unregister(worker.channel)
        worker.channel.close()
        forget_worker(self._directory, worker.slot)
        generation.died(worker, time.monotonic())
        if worker.draining:
            if generation in self._old and not generation.workers:
                self._old.remove(generation)
                self._log.event("info", "the old workers are done")
            return
        facts = cause(status)
        if self._phase == "starting":
            self._log.event(
                "error", "a worker died before it served: not starting", worker=worker.slot, **facts
            )
            self._stop(exit_status=1)
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

    # Reloading

    def _reload(self, why: str) -> None:
        assert self._current is not None
        self._reload_wanted = ""
        self._tally.reload_attempts += 1
        self._notifier.reloading()
        opened: list[Listener] = []
        try:
            config = self._load()
            settings = self._settings(config)
            daemon = self._build(config)
            self._tell_fixed(config)
            opened = self._listeners.open(settings.socket, self._identity(config))
            self._listen_metrics(settings)
        except ConfigError as error:
            for problem in error.problems:
                self._log.event("error", str(problem))
        except ServiceError as error:
            self._log.event("error", str(error))
        else:
            self._next = Generation(config, settings, daemon, opened)
            self._watch = Watch(daemon.watched_files())
            self._log.event("info", "reloading", reason=why)
            self._populate(self._next)
            return
        if opened:
            self._listeners.keep_only(self._listened())
        self._reload_failed()

    def _reload_failed(self) -> None:
        assert self._current is not None
        self._tally.reload_failures += 1
        self._tally.reload_succeeded = False
        self._log.event("error", "not reloaded: the old configuration stays in force")
        self._notifier.ready("not reloaded: see the log; " + self._summary(self._current))

    def _tell_fixed(self, config: Config) -> None:
        """Say what a reload cannot change."""
        assert self._current is not None
        if self._identity(config) != self._identity(self._current.config):
            self._log.event("warning", "`user:` and `group:` change only with a restart")

    def _listened(self) -> list[Listener]:
        """The listeners of all generations that accept connections."""
        accepting = [self._current, self._next]
        return [
            listener
            for generation in accepting
            if generation is not None
            for listener in generation.listeners
        ]

    def _switch(self, generation: Generation) -> None:
        """The new generation serves: it is the current one now, and the old one may go."""
        assert self._current is not None
        old, self._current, self._next = self._current, generation, None
        self._log.adjust(generation.config.log.level, generation.config.log.format)
        self._listeners.keep_only(generation.listeners)
        self._tally.reload_succeeded = True
        self._tally.reloaded = time.time()
        self._drain(old)
        self._log.event("info", "reloaded", workers=len(generation.workers))
        self._notifier.ready(self._summary(generation))

    def _abandon(self, generation: Generation) -> None:
        """The new generation does not work: back to the old one."""
        assert self._current is not None
        self._next = None
        self._drain(generation)
        self._listeners.keep_only(self._current.listeners)
        try:
            self._listen_metrics(self._current.settings)
        except ServiceError as error:
            self._log.event("error", str(error))
        self._watch = Watch(self._current.daemon.watched_files())
        self._reload_failed()

    def _drain(self, generation: Generation) -> None:
        deadline = time.monotonic() + generation.settings.drain_timeout + self._timing.margin
        for worker in generation.workers:
            worker.order(channel.DRAIN, deadline)
        if generation.workers:
            self._old.append(generation)

    # Stopping

    def _signalled(self, _events: int) -> None:
        reader = self._wakeup[0]
        try:
            numbers = set(reader.recv(4096))
        except BlockingIOError:
            return
        if numbers & {signal.SIGTERM, signal.SIGINT}:
            self._stop()
        if signal.SIGHUP in numbers and self._phase != "stopping":
            self._reload_wanted = "SIGHUP"
        if signal.SIGCHLD in numbers:
            self._reap()

    def _stop(self, exit_status: int = 0) -> None:
        """Stop accepting and let the workers finish; told again, let them go at once."""
        now = time.monotonic()
        if self._phase == "stopping":
            self._log.event("warning", "told again to stop: stopping at once")
            for _, worker in self._workers():
                worker.order(channel.QUIT, now + self._timing.quit)
            return
        self._phase = "stopping"
        self._exit = exit_status
        longest = (
            max(generation.settings.drain_timeout for generation in self._generations()) + self._timing.margin
        )
        self._log.event("info", "stopping", drain_timeout=longest - self._timing.margin)
        self._notifier.stopping("finishing what is in flight", longest)
        self._listeners.close()
        for generation, worker in self._workers():
            worker.order(channel.DRAIN, now + generation.settings.drain_timeout + self._timing.margin)

    def _finished(self) -> bool:
        if self._phase != "stopping" or any(self._workers()):
            return False
        self._log.event("info", "stopped")
        return True

    # Time

    def _pause(self) -> float:
        """How long nothing is due."""
        due = [self._tick_due]
        due += [g.restart_at for g in self._generations() if g.restart_at is not None]
        return max(0.0, min(due) - time.monotonic())

    def _supervise(self) -> None:
        """Do what is due now."""
        now = time.monotonic()
        if self._phase != "stopping":
            for generation in (self._current, self._next):
                if (
                    generation is not None
                    and generation.restart_at is not None
                    and generation.restart_at <= now
                ):
                    self._populate(generation)
        if self._reload_wanted and self._phase == "running" and self._next is None:
            self._reload(self._reload_wanted)
        if now < self._tick_due:
            return
        if now - self._ticked > 3 * self._timing.heartbeat:
            # It was us who were away (a long reload, a stopped process): nobody's silence counts.
            for _, worker in self._workers():
                worker.seen = max(worker.seen, now - self._timing.heartbeat)
        self._ticked = now
        self._tick_due = now + self._timing.heartbeat / 2
        self._responder.expire()
        self._reap()
        self._judge(now)
        if self._phase == "running" and now >= self._watch_due:
            self._watch_due = now + self._timing.watch
            changed = self._watch.changed()
            if changed:
                self._reload_wanted = f"{changed[0]} changed"
        if self._notifier.watchdog and now >= self._watchdog_due:
            self._watchdog_due = now + self._notifier.watchdog / 4
            if all(now - worker.seen <= self._timing.unhealthy for _, worker in self._workers()):
                self._notifier.alive()

    def _judge(self, now: float) -> None:
        """Kill what hangs, what does not come up, and what does not go."""
        for _, worker in self._workers():
            if worker.deadline is not None:
                if worker.deadline <= now:
                    self._log.event(
                        "warning", "a worker did not stop in time: killing it", worker=worker.slot
                    )
                    worker.deadline = now + self._timing.margin
                    worker.kill()
            elif now - worker.seen > self._timing.hung:
                self._log.event("error", "a worker hangs: killing it", worker=worker.slot, pid=worker.pid)
                worker.seen = now
                worker.kill()
            elif not worker.ready and now - worker.started > self._timing.start:
                self._log.event("error", "a worker does not come up: killing it", worker=worker.slot)
                worker.started = now
                worker.kill()
