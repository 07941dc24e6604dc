"""One soak, from start to verdict: traffic with faults, then traffic alone, then silence."""

from __future__ import annotations

import itertools
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread

from tests.harness.accounting.books import Books
from tests.harness.accounting.traffic import Traffic
from tests.harness.trouble import trouble
from tests.harness.waiting import wait_for
from tests.soak.faults import Faults
from tests.soak.gauge import DESCRIPTOR_MARGIN, MEMORY_MARGIN, Reading, read
from tests.soak.site import Site
from tests.soak.world import World

SETTLING = 180.0
"""Seconds within which all mail has to be decided and delivered once no more is sent."""
FIRST_MAILS = 40
"""Mails after which a daemon has open what it keeps open."""
_DIED = "a worker died"


@dataclass(frozen=True)
class Plan:
    """How long and how hard. *seconds* of traffic in all; faults in the first *troubled* part of them."""

    seconds: float
    seed: int
    rate: float = 5.0
    clients: int = 12
    troubled: float = 0.75
    pause: tuple[float, float] = (3.0, 15.0)
    """Seconds between two faults, at least and at most."""
    warm_up: float = 60.0
    """Seconds of the quiet part after which memory is first measured."""
    only: Sequence[str] = ()
    """The names of the faults to be made; none given: all."""


@dataclass
class Report:
    """What came of it. ``problems`` is empty when all is well."""

    books: Books
    faults: Faults
    memory: dict[str, tuple[Reading, Reading]] = field(default_factory=dict)
    descriptors: dict[str, tuple[Reading, Reading]] = field(default_factory=dict)
    warnings: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)


class Soak:
    """Runs *plan* with all files in *directory*, and tells *tell* what happens."""

    def __init__(self, plan: Plan, directory: Path, tell: Callable[[str], None]) -> None:
        self._plan = plan
        self._tell = tell
        self._world = World(plan.seed)
        self._site = Site(directory, self._world)
        self._books = Books()
        self._faults = Faults(self._site, self._books, plan.seed, plan.only)
        self._report = Report(self._books, self._faults)
        self._numbers = itertools.count(1)

    def run(self) -> Report:
        """The whole of it."""
        report = self._report
        with self._site as site:
            self._mail(self._open_all)
            before = read(site.daemons)
            self._mail(self._trouble, self._quiet)
            after = read(site.daemons)
            report.descriptors = {name: (before[name], after[name]) for name in before}
        self._books.close()
        self._judge()
        return report

    def _mail(self, *phases: Callable[[Traffic], None]) -> None:
        """Send mail through a Postfix of its own during *phases*, and wait until nobody is connected any more."""
        site, plan, over = self._site, self._plan, Event()
        collector = Thread(target=self._collect, args=[over], daemon=True)
        traffic = Traffic(
            lambda _: self._world.mail(next(self._numbers)), site.send, self._books, plan.rate, plan.clients
        )
        postfix = site.start_postfix()
        try:
            collector.start()
            with traffic:
                for phase in phases:
                    phase(traffic)
                traffic.no_more()
                self._settle(traffic)
            postfix.wait_until_idle(SETTLING)
            over.set()
            collector.join()
            self._books.arrive(site.take())
            self._report.problems += traffic.broken
            with (site.directory / "maillog.txt").open("a") as log:
                log.write(postfix.log())
        finally:
            over.set()
            site.stop_postfix()
        self._idle()

    def _collect(self, over: Event) -> None:
        while not over.wait(1):
            self._books.arrive(self._site.take())

    def _open_all(self, _: Traffic) -> None:
        """Until the workers have opened all that they open once: stores, metrics, sockets for questions."""
        wait_for(lambda: self._books.sent >= FIRST_MAILS, "the first mails", SETTLING)

    def _trouble(self, traffic: Traffic) -> None:
        end = time.monotonic() + self._plan.seconds * self._plan.troubled
        chance = self._faults.random
        while time.monotonic() < end:
            name = self._faults.one()
            self._say(traffic, name)
            time.sleep(min(chance.uniform(*self._plan.pause), max(0.0, end - time.monotonic())))

    def _quiet(self, traffic: Traffic) -> None:
        seconds = self._plan.seconds * (1 - self._plan.troubled)
        time.sleep(min(self._plan.warm_up, seconds / 2))
        first = read(self._site.daemons)
        end = time.monotonic() + seconds - min(self._plan.warm_up, seconds / 2)
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(60.0, left))
            self._say(traffic, "quiet")
        last = read(self._site.daemons)
        self._report.memory = {name: (first[name], last[name]) for name in first}

    def _settle(self, traffic: Traffic) -> None:
        try:
            wait_for(lambda: not traffic.waiting and not self._books.open, "the end of all mail", SETTLING)
        except TimeoutError as error:
            self._report.problems.append(str(error))

    def _idle(self) -> None:
        """Wait until no connection of Postfix's is left."""

        def gone() -> bool:
            return all(
                value == 0
                for daemon in self._site.daemons
                for name, value in daemon.metrics().items()
                if name.startswith("gatepost_connections")
            )

        try:
            wait_for(gone, "the end of all connections", 30)
        except TimeoutError as error:
            self._report.problems.append(str(error))

    def _say(self, traffic: Traffic, what: str) -> None:
        self._tell(
            f"sent={self._books.sent} open={self._books.open} waiting={traffic.waiting} "
            f"discrepancies={sum(self._books.discrepancies.values())} last={what!r} {self._books.latest[:200]}"
        )

    def _judge(self) -> None:
        report = self._report
        for what, count in self._books.discrepancies.items():
            report.problems.append(f"{what}: {count}, such as {'; '.join(self._books.examples[what])}")
        for name, (first, last) in report.memory.items():
            if last.memory - first.memory > MEMORY_MARGIN:
                report.problems.append(f"{name} grew from {first.memory} to {last.memory} octets")
        for name, (first, last) in report.descriptors.items():
            if last.descriptors - first.descriptors > DESCRIPTOR_MARGIN:
                report.problems.append(
                    f"{name} had {first.descriptors} descriptors open at first, {last.descriptors} at last"
                )
        for daemon in self._site.daemons:
            self._read_log(daemon.name, daemon.log())

    def _read_log(self, name: str, log: str) -> None:
        died = 0
        self._report.problems += [f"{name}: {line[:300]}" for line in trouble(log)]
        for line in log.splitlines():
            if _DIED in line:
                died += 1
                if "signal=SIGKILL" not in line:
                    self._report.problems.append(f"{name}: {line[:300]}")
            elif level := re.search(r"\]: (error|warning): ([^=\d]+?)(?= \w+=|[\d:]|$)", line):
                self._report.warnings[f"{name}: {level[2][:80]}"] += 1
        if died > self._faults.killed[name]:
            self._report.problems.append(
                f"{name}: {died} workers died, and we killed {self._faults.killed[name]}"
            )
