"""The whole server under load, with our daemons and with those that they replace in the same places, in turns.

The servers, the mails and the senders are the same for both. Before the clock runs, the
greylist gets to know all senders, and some mails go through. Every mail is accounted for.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from bench.machine import description, tree_cpu_seconds
from bench.page import measured, put
from tests.harness.accounting.mail import Mail
from tests.harness.daemon import Daemon
from tests.harness.process import Process
from tests.harness.waiting import wait_for
from tests.pipeline.accounts import SETTLING, Accounts
from tests.pipeline.server import LAYOUTS, Server
from tests.pipeline.servers.amavis import one_instance
from tests.pipeline.servers.passing import passing
from tests.pipeline.servers.replaced import replaced
from tests.pipeline.world import World, acquaint

PAGE = Path(__file__).parents[2] / "docs" / "pipeline.md"

CLIENTS = 20
"""How many mails are under way to the server at a time."""
FIRST = 20
"""Mails that go through before the clock runs."""

_TOLD = {
    *("date", "processor", "kernel", "python", "postfix"),
    *("opendkim", "opendmarc", "postfix-policyd-spf-python", "postgrey"),
}


@dataclass(frozen=True)
class Side:
    """Whose daemons stand in the places: not started yet, whenever ``daemons`` is asked."""

    name: str
    daemons: Callable[[Server], Iterable[Daemon | Process]]


OURS = Side("gatepost", lambda server: server.gatepost.daemons.values())
THEIRS = Side("OpenDKIM, OpenDMARC, policyd-spf, postgrey", lambda server: replaced(server.directory))
SIDES = (OURS, THEIRS)


@dataclass(frozen=True)
class Filter:
    """What stands where Amavis does, and how many mails Postfix gives it at a time."""

    name: str
    make: Callable[[Path], Sequence[Process]]
    at_a_time: int


NOTHING = Filter("nothing", passing, 20)
AMAVIS = Filter("Amavis, SpamAssassin", one_instance, 2)


@dataclass(frozen=True)
class Turn:
    """One side's turn. Seconds until all mails are taken or refused, and until the last has arrived.

    ``cpu`` is the CPU seconds of the daemons alone. ``problems`` is empty when every mail is accounted for.
    """

    filter: str
    side: str
    mails: int
    accepted: float
    arrived: float
    cpu: float
    refused: int
    put_off: int
    problems: Sequence[str]


@contextmanager
def server() -> Iterator[Server]:
    """The server in layout A, with nobody yet in the places of filter and daemons."""
    layout = replace(LAYOUTS["A"], filters=lambda directory, further="": [])
    with Server(layout, daemons=False) as running:
        yield running


def turns(server: Server, filter_: Filter, number: int, rounds: int = 1) -> Iterator[Turn]:
    """Both sides with *number* mails each, *rounds* times; who began last time is second the next."""
    world = World(server)
    mails = [world.mail(each) for each in range(1, number + 1)]
    with ExitStack() as standing:
        for each in filter_.make(server.directory):
            standing.enter_context(each)
        _postfix("postconf", "-F", f"smtp-amavis/unix/process_limit={filter_.at_a_time}")
        for turn in range(rounds):
            for side in SIDES if turn % 2 == 0 else reversed(SIDES):
                yield _turn(server, world, filter_, side, mails)


def _turn(server: Server, world: World, filter_: Filter, side: Side, mails: Sequence[Mail]) -> Turn:
    with ExitStack() as standing:
        daemons = list(side.daemons(server))
        for each in daemons:
            standing.enter_context(each)
        # Postfix has connections to those before.
        _postfix("postfix", "reload")
        acquaint(world)
        first = Accounts(server, world, clients=CLIENTS)
        _through(server, first, mails[:FIRST])
        pids = [each.process.pid if isinstance(each, Daemon) else each.pid for each in daemons]
        before = tree_cpu_seconds(pids)
        accounts = Accounts(server, world, clients=CLIENTS)
        accepted, arrived = _through(server, accounts, mails)
        cpu = tree_cpu_seconds(pids) - before
        return Turn(
            filter_.name,
            side.name,
            len(mails),
            accepted,
            arrived,
            cpu,
            problems=first.problems() + accounts.problems(),
            refused=accounts.count("refused"),
            put_off=accounts.books.put_off.total(),
        )


def _through(server: Server, accounts: Accounts, mails: Sequence[Mail]) -> tuple[float, float]:
    """Send all of them at once; after how many seconds all were decided, and had arrived."""
    expected = accounts.expected(mails)
    with accounts:
        begin = time.monotonic()
        for mail in mails:
            accounts.traffic.add(mail)
        try:
            wait_for(lambda: not accounts.traffic.waiting, "a word on each mail", SETTLING)
            accepted = time.monotonic() - begin
            wait_for(lambda: accounts.arrived() >= expected, "the last mail", SETTLING)
        except TimeoutError:
            accepted = time.monotonic() - begin  # the books tell what is missing
        arrived = time.monotonic() - begin
        accounts.settle()
    return accepted, arrived


def _postfix(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def table(turns: Sequence[Turn]) -> list[str]:
    """A row for each filter and side: medians of the turns, as Markdown."""
    lines = [
        "| filter | daemons | mails | all taken, s | all arrived, s | mails/s | CPU of the daemons, s |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for filter_, side in dict.fromkeys((turn.filter, turn.side) for turn in turns):
        those = [turn for turn in turns if (turn.filter, turn.side) == (filter_, side)]
        mails = those[0].mails
        accepted, arrived, cpu = (
            statistics.median(column)
            for column in zip(*((turn.accepted, turn.arrived, turn.cpu) for turn in those), strict=True)
        )
        lines.append(
            f"| {filter_} | {side} | {mails} | {accepted:.1f} | {arrived:.1f} | {mails / arrived:.0f} | {cpu:.2f} |"
        )
    return lines


def main(arguments: Sequence[str]) -> int:
    """Measure and print; 1 where a mail is not accounted for."""
    parser = argparse.ArgumentParser(prog="script/test-pipeline --load", description=__doc__)
    parser.add_argument("--mails", type=int, default=1000, help="with nothing for a filter (1000)")
    parser.add_argument("--filtered", type=int, default=60, help="mails through Amavis (60); 0: none")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each side; the table has medians (3)")
    parser.add_argument("--docs", action="store_true", help="put the table into docs/pipeline.md")
    options = parser.parse_args(arguments)
    busy = os.getloadavg()[0]
    done: list[Turn] = []
    with server() as running:
        for filter_, number in ((NOTHING, options.mails), (AMAVIS, options.filtered)):
            for turn in turns(running, filter_, number, options.rounds) if number else ():
                _tell(turn)
                done.append(turn)
    sys.stdout.write("\n".join(["", *table(done), ""]))
    problems = [problem for turn in done for problem in turn.problems]
    if problems:
        sys.stderr.write("\n".join([*problems, ""]))
        return 1
    if options.docs:
        told = {name: text for name, text in description().items() if name in _TOLD}
        rounds = "One turn each" if options.rounds == 1 else f"Medians of {options.rounds} turns each"
        circumstances = f"{rounds}; the load average was {busy:.1f} before the first."
        figures = [f"{measured(told)} {circumstances}", "", *table(done), ""]
        PAGE.write_text(put(PAGE.read_text(), "\n".join(figures)))
    return 0


def _tell(turn: Turn) -> None:
    sys.stdout.write(
        f"{turn.filter}, {turn.side}: {turn.mails} mails, taken {turn.accepted:.2f} s,"
        f" arrived {turn.arrived:.2f} s, CPU {turn.cpu:.2f} s; refused {turn.refused}, put off {turn.put_off},"
        f" problems {len(turn.problems)}; load average {os.getloadavg()[0]:.1f}\n"
    )
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
