"""What goes wrong during a soak: each fault is done, lasts for a while, and is undone."""

from __future__ import annotations

import random
import resource
import signal
import socket
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress

import psutil

from tests.harness.accounting.books import Books
from tests.harness.daemon import Daemon
from tests.harness.ports import LOOPBACK
from tests.harness.waiting import wait_for
from tests.soak.site import Site, processes

STEP = 6 * 3600
"""Seconds by which the clock steps at most, forward from the host's time and back again."""
SEAL_GAP = 15.0
"""Seconds before and after a step of the clock in which a seal that is under way may not be believed any more."""


class Faults:
    """Makes faults on *site*, in an order that *seed* gives: all, or those that *only* names.

    ``killed`` counts the workers that were killed, by daemon.
    """

    def __init__(self, site: Site, books: Books, seed: int, only: Sequence[str] = ()) -> None:
        self._site = site
        self._books = books
        self._only = only
        self.random = random.Random(seed)
        self.done: Counter[str] = Counter()
        self.killed: Counter[str] = Counter()
        self._deck: list[Callable[[], None]] = []

    def one(self) -> str:
        """Make one fault and undo it; its name. All have their turn before one comes again."""
        if not self._deck:
            self._deck = [fault for fault in self.all if not self._only or _name(fault) in self._only]
            self.random.shuffle(self._deck)
        fault = self._deck.pop()
        fault()
        self.done[_name(fault)] += 1
        return _name(fault)

    @property
    def all(self) -> Sequence[Callable[[], None]]:
        """Every fault there is."""
        return (
            self.a_worker_killed,
            self.all_workers_killed,
            self.a_daemon_killed_with_its_workers,
            self.a_supervisor_killed,
            self.a_worker_held_up,
            self.a_restart,
            self.a_daemon_away,
            self.a_reload,
            self.a_reload_with_a_broken_file,
            self.a_crowd_of_idle_connections,
            self.too_few_descriptors,
            self.files_that_cannot_grow,
            self.redis_killed,
            self.redis_held_up,
            self.the_greylist_in_sqlite_locked,
            self.the_history_locked,
            self.the_seal_secret_removed,
            self.the_key_removed,
            self.the_dns_silent,
            self.the_dns_refusing,
            self.the_dns_slow,
            self.the_clock_stepped_forward,
            self.the_clock_stepped_back,
        )

    def _daemon(self) -> Daemon:
        return self.random.choice(self._site.daemons)

    def _lasts(self, longest: float = 4.0) -> None:
        time.sleep(self.random.uniform(0.5, longest))

    # Processes

    def a_worker_killed(self) -> None:
        """By kill -9."""
        daemon = self._daemon()
        _, *workers = processes(daemon)
        self._kill(daemon, workers[:1])

    def all_workers_killed(self) -> None:
        """All of one daemon at once."""
        daemon = self._daemon()
        _, *workers = processes(daemon)
        self._kill(daemon, workers)

    def a_daemon_killed_with_its_workers(self) -> None:
        """The whole daemon is gone for a while."""
        daemon = self._daemon()
        everyone = processes(daemon)
        for process in everyone:
            process.kill()
        self._start_again(daemon)

    def a_supervisor_killed(self) -> None:
        """Its workers are left alone, and go by themselves."""
        daemon = self._daemon()
        supervisor, *workers = processes(daemon)
        supervisor.kill()
        psutil.wait_procs(workers, timeout=40)
        self._start_again(daemon)

    def _start_again(self, daemon: Daemon) -> None:
        daemon.process.wait()
        daemon.stop()
        self._lasts(2)
        daemon.start()

    def _kill(self, daemon: Daemon, workers: Sequence[psutil.Process]) -> None:
        for worker in workers:
            worker.kill()
            self.killed[daemon.name] += 1
        gone = {worker.pid for worker in workers}
        wait_for(
            lambda: (
                len(found := processes(daemon)) == 1 + len(workers) + (0 if len(workers) > 1 else 1)
                and not gone & {each.pid for each in found}
            ),
            f"new workers of {daemon.name}",
            30,
        )

    def a_worker_held_up(self) -> None:
        """It is stopped for less time than would be taken for hanging."""
        worker = processes(self._daemon())[1]
        with suppress(psutil.NoSuchProcess):
            worker.suspend()
            try:
                self._lasts(8)
            finally:
                worker.resume()

    def a_restart(self) -> None:
        """As ``systemctl restart``."""
        daemon = self._daemon()
        daemon.stop()
        daemon.start()

    def a_daemon_away(self) -> None:
        """It is stopped, and started some seconds later."""
        daemon = self._daemon()
        daemon.stop()
        self._lasts(6)
        daemon.start()

    # The configuration

    def a_reload(self) -> None:
        """With another configuration: the greylist moves to another store, the others get another limit."""
        daemon = self._daemon()
        sections = self._site.sections
        if daemon.name == "greylist":
            sqlite = sections["greylist"]["store"] == self._site.redis.url
            sections["greylist"]["store"] = str(self._site.sqlite) if sqlite else self._site.redis.url
        else:
            sections[daemon.name]["limits"] = {"connections": self.random.randrange(200, 1000)}
        self._site.gatepost.configure(sections)
        daemon.reload(30)

    def a_reload_with_a_broken_file(self) -> None:
        """The file is mended afterwards, and read again."""
        daemon = self._daemon()
        file = self._site.gatepost.file
        good = file.read_text()
        file.write_text(good[: self.random.randrange(len(good))] + "\nbroken: [")
        daemon.reload(30)
        self._lasts(2)
        file.write_text(good)
        daemon.reload(30)

    # What they are given

    def a_crowd_of_idle_connections(self) -> None:
        """Two hundred peers that say nothing."""
        daemon = self._daemon()
        with ExitStack() as crowd:
            for _ in range(200):
                crowd.enter_context(socket.create_connection((LOOPBACK, daemon.port), 30))
            self._lasts()

    def too_few_descriptors(self) -> None:
        """A worker may open two more and no others."""
        worker = processes(self._daemon())[1]
        with self._limited([worker], resource.RLIMIT_NOFILE, worker.num_fds() + 2):
            self._lasts()

    def files_that_cannot_grow(self) -> None:
        """As on a full disk: for stores, history, log and metrics of one daemon."""
        daemon = self._daemon()
        with self._limited(processes(daemon)[1:], resource.RLIMIT_FSIZE, 4096):
            self._lasts()

    @contextmanager
    def _limited(self, workers: Sequence[psutil.Process], what: int, limit: int) -> Iterator[None]:
        before = {}
        for worker in workers:
            with suppress(psutil.NoSuchProcess):
                before[worker] = worker.rlimit(what)
                worker.rlimit(what, (limit, before[worker][1]))
        try:
            yield
        finally:
            for worker, limits in before.items():
                with suppress(psutil.NoSuchProcess):
                    worker.rlimit(what, limits)

    # What they lean on

    def redis_killed(self) -> None:
        """By kill -9, and started again."""
        redis = self._site.redis
        redis.process.signal(signal.SIGKILL)
        redis.process.wait()
        self._lasts()
        redis.start()

    def redis_held_up(self) -> None:
        """It takes connections and does not answer."""
        redis = psutil.Process(self._site.redis.process.pid)
        redis.suspend()
        try:
            self._lasts()
        finally:
            redis.resume()

    def the_greylist_in_sqlite_locked(self) -> None:
        """By somebody who writes for some seconds."""
        self._locked(str(self._site.sqlite))

    def the_history_locked(self) -> None:
        """By somebody who writes for some seconds."""
        self._locked(str(self._site.history))

    def _locked(self, file: str) -> None:
        with closing(sqlite3.connect(file, timeout=5, isolation_level=None)) as database:
            database.execute("BEGIN IMMEDIATE")
            self._lasts()
            database.execute("ROLLBACK")

    def the_seal_secret_removed(self) -> None:
        """The daemons notice, each in its time, and go on with what they know; then it is put back."""
        secret = self._site.directory / "seal.key"
        octets = secret.read_bytes()
        secret.unlink()
        time.sleep(8)
        secret.write_bytes(octets)
        secret.chmod(0o640)

    def the_key_removed(self) -> None:
        """The private key of dkim-sign is away, and comes back."""
        [key] = self._site.directory.glob("*.private")
        octets = key.read_bytes()
        key.unlink()
        self._lasts(12)
        key.touch(mode=0o600)
        key.write_bytes(octets)

    def the_dns_silent(self) -> None:
        """No question is answered."""
        self._with_dns(["TIMEOUT"])

    def the_dns_refusing(self) -> None:
        """Every question is answered by SERVFAIL."""
        self._with_dns(["SERVFAIL"])

    def _with_dns(self, answer: Sequence[str]) -> None:
        dns = self._site.dns
        dns.zone = {"*": answer, "*.example": answer, "*.good.example": answer}
        try:
            self._lasts(8)
        finally:
            dns.zone = self._site.zone

    def the_dns_slow(self) -> None:
        """Each answer takes a second: less than the patience for one question."""
        dns = self._site.dns
        dns.zone = {name: [*items, {"DELAY": 1}] for name, items in self._site.zone.items()}
        try:
            self._lasts(8)
        finally:
            dns.zone = self._site.zone

    def the_clock_stepped_forward(self) -> None:
        """By some hours."""
        self._step(min(STEP, self._site.clock.offset + self.random.uniform(STEP / 4, STEP)))

    def the_clock_stepped_back(self) -> None:
        """To the time of the host."""
        self._step(0.0)

    def _step(self, offset: float) -> None:
        self._books.shaken(time.monotonic() - SEAL_GAP, time.monotonic() + SEAL_GAP)
        self._site.clock.offset = offset


def _name(fault: Callable[[], None]) -> str:
    return fault.__name__.replace("_", " ")
