"""How many milliseconds a daemon adds to a mail, over TCP, on a real Postfix.

One private Postfix has a port for each daemon, and one without any. Each gets
the same mail again and again, one after the other: what is measured is the
time that a mail waits, not how many a second there could be. The ports take
turns, several rounds of them, so that what else the machine does hurts all
alike.

Two times are taken, both as an SMTP client sees them: of a whole session, from
the connection to the reply to QUIT; and of a further mail in a session that is
open already, from MAIL to the reply to its end. A row gives the median of the
rounds' medians, and the median of what each round had more than the same
round without a daemon.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from bench import mails
from bench.measurement import START, Pace, Tell, playing
from bench.missing import MissingError
from bench.players import Player, Running
from bench.result import Result, Row, duration
from bench.work import Work
from bench.world import World
from gatepost.message import HeaderField
from tests.harness.mail import unparse
from tests.harness.milter_client import Mail
from tests.harness.postfix import Postfix, Smtpd, unavailable
from tests.harness.smtp import Client, Session

BASE = "no daemon"
TARGET = 0.001
"""Seconds that a daemon of ours may add to a mail."""

MAILS = 20
_WARM_UP = 3


@dataclass(frozen=True)
class Way:
    """One way of a mail: through a milter, or past a policy service.

    *mail* makes what is sent. *work* is what the daemon is tried with before,
    so that nobody is measured who only waves mail through.
    """

    player: Player
    work: Work
    mail: Callable[[World, Player], Mail]
    policy: bool = False


@dataclass(frozen=True)
class Times:
    """Seconds that mails took: in sessions of their own, and as further mails of an open session."""

    session: float
    further: float


@dataclass(frozen=True)
class _Port:
    """An smtpd service, the mail for it, and who sends it."""

    number: int
    mail: Mail

    @property
    def octets(self) -> bytes:
        return unparse([HeaderField(*each) for each in self.mail.headers], self.mail.body)

    @property
    def sender(self) -> str:
        return self.mail.mail_from.decode()

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A session that has greeted, as the mail's client."""
        with Session(self.number) as session:
            session.become(Client(self.mail.client_address, mails.HELO, mails.HELO))
            yield session
            session.quit()


@dataclass(frozen=True)
class Latency:
    """All ways beside each other."""

    ways: Sequence[Way]
    plain: Callable[[World, Player], Mail]
    name: str = "latency"
    title: str = "4 kB, TCP"
    rounds: int = 5

    def estimate(self, pace: Pace) -> float:
        """About how many seconds it takes."""
        mails_each = 2 * MAILS * pace.seconds * pace.rounds_of(self.rounds) * 0.035
        return 3.0 + (len(self.ways) + 1) * (START + mails_each)

    def run(self, world: World, pace: Pace, tell: Tell) -> Result:
        """Start everything, and let the ports take turns."""
        reason = unavailable()
        if reason:
            raise MissingError(reason)
        world.tcp = True
        try:
            with playing([way.player for way in self.ways], world, self.name, tell) as (running, missing):
                daemons = {player.name: daemon for player, daemon in running}
                with self._ports(world, daemons) as ports:
                    count = max(3, round(MAILS * pace.seconds))
                    found = measured(ports, pace.rounds_of(self.rounds), count)
        finally:
            world.tcp = False
        result = Result(self.name, self.title, "latency", rows(found), missing)
        for row in result.rows:
            tell(f"{self.name}: {row['daemon']}: {duration(row['further_added'])} added to a mail")
        return result

    @contextmanager
    def _ports(self, world: World, daemons: dict[str, Running]) -> Iterator[dict[str, _Port]]:
        services = {BASE: Smtpd(name="way0")}
        sent = {BASE: self.plain(world, self.ways[0].player)}
        for number, way in enumerate(self.ways, 1):
            daemon = daemons.get(way.player.name)
            if daemon is None:
                continue
            way.work.prepare(world, way.player, daemon)
            way.work.clients(world, way.player, daemon)
            place = daemon.endpoint.postfix
            services[way.player.name] = Smtpd(
                name=f"way{number}",
                milters=[] if way.policy else [place],
                policy=[place] if way.policy else [],
            )
            sent[way.player.name] = way.mail(world, way.player)
        # What becomes of the mails is not measured: they go nowhere.
        with Postfix([*services.values()], options={"virtual_transport": "discard:"}):
            yield {name: _Port(service.port, sent[name]) for name, service in services.items()}


def whole_session(port: _Port) -> float:
    """Seconds of a session with one mail."""
    octets = port.octets
    began = time.perf_counter()
    with port.session() as session:
        session.send_pipelined(octets, port.sender, [mails.RECIPIENT])
    return time.perf_counter() - began


def further_mails(port: _Port, count: int) -> list[float]:
    """Seconds of each of *count* mails in one session, its first left out."""
    octets = port.octets
    spent = []
    with port.session() as session:
        session.send_pipelined(octets, port.sender, [mails.RECIPIENT])
        for _ in range(count):
            began = time.perf_counter()
            session.send_pipelined(octets, port.sender, [mails.RECIPIENT])
            spent.append(time.perf_counter() - began)
    return spent


def measured(ports: dict[str, _Port], rounds: int, count: int) -> list[dict[str, Times]]:
    """The medians of each round, by name."""
    for port in ports.values():
        for _ in range(_WARM_UP):
            whole_session(port)
    names = list(ports)
    found = []
    for number in range(rounds):
        turn = number % len(names)
        times = {}
        for name in names[turn:] + names[:turn]:
            session = statistics.median(whole_session(ports[name]) for _ in range(count))
            further = statistics.median(further_mails(ports[name], count))
            times[name] = Times(session, further)
        found.append(times)
    return found


def rows(rounds: Sequence[dict[str, Times]]) -> list[Row]:
    """The medians over the rounds, and what was added to those without a daemon."""
    return [
        {
            "daemon": name,
            "session": statistics.median(times[name].session for times in rounds),
            "session_added": statistics.median(times[name].session - times[BASE].session for times in rounds),
            "further": statistics.median(times[name].further for times in rounds),
            "further_added": statistics.median(times[name].further - times[BASE].further for times in rounds),
            "target": TARGET if name.startswith("gatepost") else None,
        }
        for name in rounds[0]
    ]
