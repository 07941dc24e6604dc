"""How many milliseconds a milter adds to a mail, over TCP, on a real Postfix.

    script/bench latency [--rounds 5] [--mails 20] [--size 4096] [--json]

One private Postfix has a port for each way of verifying DKIM signatures, and
one without a milter. Each gets the same signed mail again and again, one after
the other: what is measured is the time that a mail waits, not how many a
second there could be. The ways take turns, several rounds of them, so that
what else the machine does hurts all alike.

Two times are taken, both as an SMTP client sees them: of a whole session, from
the connection to the reply to QUIT; and of a further mail in a session that is
open already, from MAIL to the reply to its end. A row gives the median of the
rounds' medians, and the median of what each round had more than the same
round without a milter.

Needs root (for Postfix's master), and OpenDKIM for its row.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.harness.daemon import Installation
from tests.harness.delivery import compose
from tests.harness.dns_server import DnsServer
from tests.harness.keys import rsa_key
from tests.harness.opendkim import OpenDkim
from tests.harness.postfix import Postfix, Smtpd, unavailable
from tests.harness.smtp import Session

SENDER, RECIPIENT = "friend@example.org", "bert@example.nl"
BASE = "no milter"
WARM_UP = 3


@dataclass(frozen=True)
class Times:
    """Seconds that mails took: in sessions of their own, and as further mails of an open session."""

    session: float
    further: float


@dataclass(frozen=True)
class Row:
    """What one way came to, in milliseconds; *_added* is against no milter."""

    name: str
    session: float
    session_added: float
    further: float
    further_added: float


def mail(size: int) -> bytes:
    """A mail whose body has about *size* octets."""
    line = "A line of text with some words in it, as long as they are.\n"
    fields = [
        ("From", SENDER),
        ("To", RECIPIENT),
        ("Subject", "A word"),
        ("Date", "Sat, 21 Nov 2026 10:00:00 +0000"),
        ("Message-ID", "<1@example.org>"),
        *((f"X-Header-{number}", "some words of a usual length, to fill the line") for number in range(12)),
    ]
    return compose(fields, line * max(1, size // len(line)))


@contextmanager
def ports(octets: bytes) -> Iterator[tuple[dict[str, int], bytes]]:
    """The ports by the way they verify, and the signed mail; all is up while it lasts."""
    key = rsa_key("example.org")
    with ExitStack() as running:
        directory = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="gatepost-bench-")))
        dns = running.enter_context(DnsServer({key.name: [{"TXT": key.record}]}))
        sections = {
            f"gatepost-{engine}": {"kind": "dkim-verify", "engine": engine, "verify_local": True}
            for engine in ("asyncio", "libmilter")
        }
        common = {"dns": {"nameservers": [dns.address]}}
        gatepost = running.enter_context(Installation(directory, sections, common))
        milters = {BASE: ""} | {
            f"dkim-verify, {name.removeprefix('gatepost-')}": daemon.milter
            for name, daemon in gatepost.daemons.items()
        }
        if shutil.which("opendkim"):
            peer = OpenDkim(directory / "opendkim", records={key.name: key.record})
            milters["OpenDKIM"] = running.enter_context(peer).milter
        services = {
            name: Smtpd(name=f"way{number}", milters=[milter] if milter else [])
            for number, (name, milter) in enumerate(milters.items())
        }
        # What becomes of the mails is not measured: they go nowhere.
        running.enter_context(Postfix([*services.values()], options={"virtual_transport": "discard:"}))
        yield {name: service.port for name, service in services.items()}, key.sign(octets)
        idle = [daemon.name for daemon in gatepost.daemons.values() if "dkim=pass" not in daemon.log()]
        if idle:
            raise RuntimeError(f"measured without a verification: {', '.join(idle)}")


def whole_session(port: int, octets: bytes) -> float:
    """Seconds of a session with one mail."""
    began = time.perf_counter()
    with Session(port) as session:
        session.ehlo()
        session.send_pipelined(octets, SENDER, [RECIPIENT])
        session.quit()
    return time.perf_counter() - began


def further_mails(port: int, octets: bytes, count: int) -> list[float]:
    """Seconds of each of *count* mails in one session, its first left out."""
    spent = []
    with Session(port) as session:
        session.ehlo()
        session.send_pipelined(octets, SENDER, [RECIPIENT])
        for _ in range(count):
            began = time.perf_counter()
            session.send_pipelined(octets, SENDER, [RECIPIENT])
            spent.append(time.perf_counter() - began)
        session.quit()
    return spent


def measured(ports: dict[str, int], octets: bytes, rounds: int, mails: int) -> list[dict[str, Times]]:
    """The medians of each round, by way."""
    for port in ports.values():
        for _ in range(WARM_UP):
            whole_session(port, octets)
    names = list(ports)
    found = []
    for number in range(rounds):
        times = {}
        for name in names[number % len(names) :] + names[: number % len(names)]:
            session = statistics.median(whole_session(ports[name], octets) for _ in range(mails))
            further = statistics.median(further_mails(ports[name], octets, mails))
            times[name] = Times(session, further)
        found.append(times)
    return found


def rows(rounds: Sequence[dict[str, Times]]) -> list[Row]:
    """The table of the rounds' medians."""

    def median(values: Iterator[float]) -> float:
        return round(statistics.median(values) * 1000, 3)

    return [
        Row(
            name,
            session=median(times[name].session for times in rounds),
            session_added=median(times[name].session - times[BASE].session for times in rounds),
            further=median(times[name].further for times in rounds),
            further_added=median(times[name].further - times[BASE].further for times in rounds),
        )
        for name in rounds[0]
    ]


def show(table: Sequence[Row]) -> None:
    print(f"{'':24}{'session':>12}{'added':>10}{'further mail':>16}{'added':>10}")
    for row in table:
        print(
            f"{row.name:24}{row.session:9.2f} ms{row.session_added:7.2f} ms"
            f"{row.further:13.2f} ms{row.further_added:7.2f} ms"
        )


def main() -> int:
    parser = argparse.ArgumentParser(description="Milliseconds that a milter adds to a mail.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--mails", type=int, default=20, help="mails of each kind, for each way and round")
    parser.add_argument("--size", type=int, default=4096, help="octets of the mail's body")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    options = parser.parse_args()
    reason = unavailable()
    if reason:
        print(f"latency: cannot be measured here: {reason}", file=sys.stderr)
        return 1
    with ports(mail(options.size)) as (places, octets):
        table = rows(measured(places, octets, options.rounds, options.mails))
    if options.json:
        given = {"rounds": options.rounds, "mails": options.mails, "octets": len(octets)}
        print(json.dumps({**given, "milliseconds": [asdict(row) for row in table]}))
    else:
        show(table)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
