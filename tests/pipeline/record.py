"""Records telling dialogues of the whole server as sessions: ``script/test-pipeline --record``.

The daemons are those of tests/sessions, with clock, keys, DNS and secret held
still, so that what is recorded can be replayed there; a proxy stands before each, where the
server has its own. A mail's dialogues end up in tests/sessions/DAEMON/NAME.session.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from string import Template
from typing import Any, TypeVar

from gatepost.cli.prepare import prepare
from gatepost.cli.replay import running
from gatepost.config.host import Host
from gatepost.config.load import parse
from gatepost.config.types import SocketAddress
from gatepost.recording.events import Side
from gatepost.recording.proxy import Proxy
from milters import mfdef
from milters.recording.events import Connection, Event, Packet, Recording
from milters.recording.language import MILTER
from milters.recording.writer import write
from policy.assembly import PolicyDaemon
from policy.recording.language import POLICY
from tests.harness.together import Together
from tests.harness.waiting import wait_for
from tests.pipeline.machine import INSIDE, inside
from tests.pipeline.senders import send, submit
from tests.pipeline.server import BERT, CARLA, LAYOUTS, Layout, Server
from tests.pipeline.servers.amavis import LOCAL, Amavis
from tests.pipeline.servers.dns import EVIL, FORWARDER, OUTSIDE, Party
from tests.sessions.bench import Pages
from tests.sessions.daemons import HERE, NOW, configuration, daemon, listen, worker
from tests.sessions.mails import ANNA, FRIEND, mail, signed
from tests.sessions.make import judge, levelled
from tests.sessions.policy.daemons import HERE as POLICY_HERE
from tests.sessions.scene import Scene
from tests.sessions.zone import ED25519

T = TypeVar("T")
Act = Callable[[], None]

# Which daemon of the sessions stands on which port.
PLACES: Mapping[str, Mapping[int, str]] = {
    "A": {8891: "verify", 8892: "sign", 8893: "dmarc", 8894: "dmarc-inside"},
    "B": {8891: "verify-proxied", 8892: "sign", 8893: "dmarc"},
}
# With a name, lest SpamAssassin keeps it; and outside the networks that the sessions' daemons trust.
SPOOFER = replace(EVIL, address=FORWARDER.address, name=FORWARDER.name)
SPF = Path("/var/spool/postfix/private/gatepost-spf")

_OPTIONS = {
    # Without the greylist: its clock stands still.
    "smtpd_recipient_restrictions": "permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination,"
    " check_policy_service unix:private/gatepost-spf"
}
# A connection a mail: its dialogues have an end.
_NO_CACHE = "$smtp_connection_cache_enable = 0;\n$max_requests = 1;\n"

_SPANS = (
    *("PAST_03_06", "PAST_06_12", "PAST_12_24", "PAST_24_48", "PAST_96_XX"),
    *("FUTURE_03_06", "FUTURE_06_12", "FUTURE_12_24", "FUTURE_24_48", "FUTURE_48_96", "FUTURE_96_Q"),
)

# What Amavis makes up each time, and when Postfix saw a mail for two.
_MADE_UP = re.compile(rb"(?<=\n id )[\w+-]{12}(?=[ ;])")
_DATE = re.compile(rb"(?<=;\n\t)\w{3}, \d+ \w{3} \d{4} [\d:]{8} \+0000")


@dataclass(frozen=True)
class Take:
    """One mail. ``kept`` gives for each name the port of the milter, which of its dialogues (0 the first),
    what has to be in the answers (as for a Scene), and what the session shows."""

    act: Act
    kept: Mapping[str, tuple[int, int, Sequence[str], str]]


def _comes(
    octets: bytes, sender: str = FRIEND, recipients: Sequence[str] = (BERT,), party: Party = OUTSIDE
) -> Act:
    return lambda: _ignore(send(party, octets, sender, recipients, attempts=1))


def _goes(user: str, octets: bytes, port: int = 587) -> Act:
    return lambda: submit(user, octets, [FRIEND], port=port)


def _sendmail(octets: bytes) -> Act:
    command = ["sendmail", "-f", ANNA, FRIEND]
    return lambda: _ignore(subprocess.run(command, input=octets.replace(b"\r\n", b"\n"), check=True))


def _ignore(_: object) -> None:
    pass


EIGHT_BITS = mail(
    ("MIME-Version", "1.0"),
    ("Content-Type", "text/plain; charset=utf-8"),
    ("Content-Transfer-Encoding", "8bit"),
    sender=ANNA,
    recipient=FRIEND,
    body="Żółć – ça va?\n",
)
FORGED = ("Authentication-Results", "mail.example.nl; dkim=pass header.d=bank.example; spf=pass smtp.helo=x")
BOUNCE = mail(("Auto-Submitted", "auto-replied"), sender="MAILER-DAEMON@example.org", recipient=ANNA)
SPOOFED = mail(FORGED, sender="ceo@bank.example")

TAKES: Mapping[str, Sequence[Take]] = {
    "A": [
        Take(
            _comes(signed(mail(FORGED))),
            {
                "postscreen": (
                    8891,
                    0,
                    ["dkim=pass", "remove"],
                    "Through postscreen, with a sealed SPF field.",
                ),
                "re-injected": (
                    8891,
                    1,
                    ["accept", "!insert"],
                    "The same mail back from Amavis: its results are known by their seals.",
                ),
            },
        ),
        Take(
            _comes(signed(mail(FORGED))),
            {
                "postscreen-verified": (
                    8893,
                    0,
                    ["dmarc=pass"],
                    "Behind the verifier, with SPF sealed by its service.",
                ),
                "re-injected": (
                    8894,
                    0,
                    ["replace", "!seal"],
                    "Back from Amavis: seals go, results stay.",
                ),
            },
        ),
        Take(
            _comes(BOUNCE, ""),
            {
                "null-sender-verified": (8893, 0, ["dmarc=pass"], "A bounce: SPF of HELO decides."),
                "re-injected-null-sender": (8894, 0, ["replace", "!seal"], "The bounce, back from Amavis."),
            },
        ),
        Take(
            _comes(SPOOFED, "x@evil.example", (BERT,), SPOOFER),
            {
                "postscreen-spoofed": (
                    8893,
                    0,
                    ["550", "bank.example"],
                    "Refused at the border, through postscreen.",
                )
            },
        ),
        Take(
            _comes(signed(mail()), FRIEND, (ANNA, BERT)),
            {"re-injected-for-two": (8891, 1, ["accept", "!insert"], "Two recipients, back from Amavis.")},
        ),
        Take(
            _goes(ANNA, mail(("User-Agent", "Some mailer"), sender=ANNA, recipient=FRIEND)),
            {
                "submission": (
                    8892,
                    0,
                    ["d=example.nl"],
                    "From a user on 587, back from Amavis and cleaned up.",
                )
            },
        ),
        Take(
            _goes(ANNA, mail(sender=ANNA, recipient=FRIEND), 465),
            {"smtps": (8892, 0, ["d=example.nl"], "From a user on 465, back from Amavis.")},
        ),
        Take(
            _goes(ANNA, EIGHT_BITS),
            {
                "submission-eight-bits": (
                    8892,
                    0,
                    ["d=example.nl"],
                    "Eight bits, made seven on the way to Amavis.",
                )
            },
        ),
        Take(
            _goes(CARLA, mail(sender=CARLA, recipient=FRIEND)),
            {"submission-no-key": (8892, 0, ["accept", "!d="], "A domain without a key, back from Amavis.")},
        ),
        Take(
            _sendmail(mail(sender=ANNA, recipient=FRIEND)),
            {
                "sendmail": (
                    8892,
                    0,
                    ["d=example.nl"],
                    "Handed in by a program of this host, with sendmail(1).",
                )
            },
        ),
    ],
    "B": [
        Take(
            _comes(signed(signed(mail(FORGED)), ED25519)),
            {
                "proxied": (
                    8891,
                    0,
                    ["dkim=pass", "remove"],
                    "Through Amavis before the queue, from 127.0.0.1.",
                )
            },
        ),
        Take(
            _comes(mail(FORGED)),
            {
                "proxied-by-spf": (
                    8893,
                    0,
                    ["dmarc=pass"],
                    "Unsigned: the sealed SPF field alone tells who it was.",
                )
            },
        ),
        Take(
            _comes(SPOOFED, "x@evil.example", (BERT,), SPOOFER),
            {
                "proxied-spoofed": (
                    8893,
                    0,
                    ["550", "bank.example"],
                    "Refused behind Amavis, while the sender waits.",
                )
            },
        ),
        Take(
            _comes(BOUNCE, ""),
            {"proxied-null-sender": (8893, 0, ["dmarc=pass"], "A bounce: the sealed SPF field knows HELO.")},
        ),
    ],
}


class Recorder(Together):
    """The daemons of one layout, each with a proxy before it. ``recorded`` has the dialogues by port."""

    def __init__(self, places: Mapping[int, str]) -> None:
        self.recorded: dict[int, list[Pages]] = {port: [] for port in places}
        self._places = places
        self._loop = asyncio.new_event_loop()

    def _start(self, starting: ExitStack) -> None:
        scratch = Path(starting.enter_context(tempfile.TemporaryDirectory()))
        thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        thread.start()
        starting.callback(thread.join, 5)
        starting.callback(self._loop.call_soon_threadsafe, self._loop.stop)
        for port, name in self._places.items():
            starting.callback(self._stop, self._on_loop(self._serve(port, name, scratch)))
        starting.callback(self._stop, self._on_loop(self._serve_spf(scratch)))

    def _on_loop(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def _stop(self, stop: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._on_loop(stop())

    async def _serve(self, port: int, name: str, scratch: Path) -> Callable[[], Coroutine[Any, Any, None]]:
        serving = worker(daemon(name, scratch))
        path = scratch / f"{name}.socket"
        await serving.start([listen(path)])

        def open_pages() -> Pages:
            self.recorded[port].append(Pages())
            return self.recorded[port][-1]

        proxy = Proxy(SocketAddress("unix", path=str(path)), open_pages, _complain, MILTER)
        server = await asyncio.start_server(proxy.serve, "127.0.0.1", port)

        async def stop() -> None:
            server.close()
            await proxy.stop()
            await serving.stop(0)

        return stop

    async def _serve_spf(self, scratch: Path) -> Callable[[], Coroutine[Any, Any, None]]:
        service = running(_spf(scratch))
        address = await service.__aenter__()
        proxy = Proxy(address, Pages, _complain, POLICY)
        listener = listen(SPF)
        os.chmod(SPF, 0o666)
        server = await asyncio.start_unix_server(proxy.serve, sock=listener)

        async def stop() -> None:
            server.close()
            await proxy.stop()
            await service.__aexit__(None, None, None)

        return stop

    def wait(self, wanted: Mapping[int, int]) -> None:
        """Wait until there are so many dialogues on each port, and all have ended."""

        def complete() -> bool:
            enough = all(len(self.recorded[port]) >= count for port, count in wanted.items())
            return enough and all(each.closed for some in self.recorded.values() for each in some)

        wait_for(complete, "the end of all dialogues", 60)


def _spf(scratch: Path) -> PolicyDaemon:
    """The policy service of the sessions, with the DNS that their milters have."""
    text = Template((POLICY_HERE / "gatepost.yaml").read_text()).substitute(here=HERE, scratch=scratch)
    prepared = prepare(parse(text, "gatepost.yaml", Host()).config, "spf")
    assert isinstance(prepared, PolicyDaemon)
    return replace(prepared, clock=lambda: NOW)


def _complain(text: str) -> None:
    raise RuntimeError(text)


def _plain(connection: Connection) -> Connection:
    """The connection with all that is different each time put the same."""
    return levelled(Connection([_plain_event(event) for event in connection.events]))


def _plain_event(event: Event) -> Event:
    if not isinstance(event, Packet) or event.side is not Side.MTA or event.command != mfdef.SMFIC_HEADER:
        return event
    payload = _MADE_UP.sub(b"4AB0000000", event.payload)
    return event._replace(payload=_DATE.sub(b"Sat, 21 Nov 2026 10:00:00 +0000", payload))


def main() -> int:
    """Record all; 0 where everything came out as it has to."""
    if not inside():
        print(f"{INSIDE} is not set: run script/test-pipeline --record", file=sys.stderr)  # noqa: T201
        return 2
    wrong = 0
    for name, takes in TAKES.items():
        layout = LAYOUTS[name]
        layout = replace(layout, filters=partial(_timeless, layout))
        server = Server(layout, _OPTIONS, daemons=False)
        with server, Recorder(PLACES[name]) as recorder:
            for take in takes:
                for some in recorder.recorded.values():
                    some.clear()
                take.act()
                wanted: dict[int, int] = {}
                for port, which, _, _ in take.kept.values():
                    wanted[port] = max(which + 1, wanted.get(port, 0))
                recorder.wait(wanted)
                server.wait_until_idle()
                for session, (port, which, expect, purpose) in take.kept.items():
                    found = recorder.recorded[port][which].connection
                    wrong += _keep(PLACES[name][port], session, _plain(found), expect, purpose)
    return 1 if wrong else 0


def _timeless(layout: Layout, directory: Path, further: str = "") -> list[Amavis]:
    """The layout's Amavis, without an opinion on dates: those of the mails stand still."""
    made = layout.filters(directory, further=_NO_CACHE + further)
    with LOCAL.open("a") as file:
        file.writelines(f"score DATE_IN_{span} 0\n" for span in _SPANS)
    return made


def _keep(name: str, session: str, connection: Connection, expect: Sequence[str], purpose: str) -> bool:
    """Write the session; whether it did not come out as it has to."""
    problem = judge(Scene(name, session, purpose, lambda bench, daemon: None, expect), connection)
    print(f"{name}/{session}: {problem or 'ok'}", flush=True)  # noqa: T201
    comment = (
        f"{purpose}\nThe whole server, and the daemon {name} of {configuration(name).name}; "
        "made by script/test-pipeline --record."
    )
    file = HERE / name / f"{session}.session"
    file.parent.mkdir(exist_ok=True)
    file.write_text(write(Recording([connection], comment)), encoding="utf-8", newline="\n")
    return bool(problem)


if __name__ == "__main__":
    sys.exit(main())
