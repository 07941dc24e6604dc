"""Records telling dialogues of the whole server as sessions: ``script/test-pipeline --record``.

The daemons are those of tests/sessions, with clock, keys, DNS and secret held
still, so that what is recorded can be replayed there; a proxy stands before each, where the
server has its own. A mail's dialogues end up in tests/sessions/DAEMON/NAME.session.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

from gatepost.cli.prepare import prepare
from gatepost.config.host import Host
from gatepost.config.load import parse
from gatepost.recording.events import Side
from milters import mfdef
from milters.recording.events import Connection, Event, Packet, Recording
from milters.recording.language import MILTER
from milters.recording.writer import write
from policy.assembly import PolicyDaemon
from policy.recording.language import POLICY
from tests.harness.together import Together
from tests.harness.waiting import wait_for
from tests.pipeline.machine import INSIDE, inside
from tests.pipeline.server import LAYOUTS, Layout, Server
from tests.pipeline.servers.amavis import LOCAL, Amavis
from tests.pipeline.servers.replaced import SPF
from tests.pipeline.takes import PLACES, TAKES, Kept
from tests.sessions.daemons import HERE, NOW, configuration, daemon, filled_in, listen
from tests.sessions.make import judge, levelled
from tests.sessions.policy.daemons import HERE as POLICY_HERE
from tests.sessions.recorder import Pages, Recorder
from tests.sessions.scene import Scene

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


class RecordedDaemons(Together):
    """The daemons of one layout, each with a proxy before it. ``recorded`` has the dialogues by port."""

    def __init__(self, places: Mapping[int, str]) -> None:
        self.recorded: dict[int, list[Pages]] = {}
        self._places = places

    def _start(self, starting: ExitStack) -> None:
        scratch = Path(starting.enter_context(tempfile.TemporaryDirectory()))
        recorder = starting.enter_context(Recorder())
        for port, name in self._places.items():
            serving = recorder.recording(daemon(name, scratch), port, MILTER)
            self.recorded[port] = starting.enter_context(serving)
        listener = listen(SPF)
        SPF.chmod(0o666)
        starting.enter_context(recorder.recording(_spf(scratch), listener, POLICY))

    def wait(self, wanted: Mapping[int, int]) -> None:
        """Wait until there are so many dialogues on each port, and all have ended."""

        def complete() -> bool:
            enough = all(len(self.recorded[port]) >= count for port, count in wanted.items())
            return enough and all(each.closed for some in self.recorded.values() for each in some)

        wait_for(complete, "the end of all dialogues", 60)


def _spf(scratch: Path) -> PolicyDaemon:
    """The policy service of the sessions, with the DNS that their milters have."""
    text = filled_in(POLICY_HERE / "gatepost.yaml", scratch, here=HERE)
    prepared = prepare(parse(text, "gatepost.yaml", Host()).config, "spf")
    assert isinstance(prepared, PolicyDaemon)
    return replace(prepared, clock=lambda: NOW)


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
        with server, RecordedDaemons(PLACES[name]) as daemons:
            for take in takes:
                for some in daemons.recorded.values():
                    some.clear()
                take.act()
                wanted: dict[int, int] = {}
                for kept in take.kept.values():
                    wanted[kept.port] = max(kept.which + 1, wanted.get(kept.port, 0))
                daemons.wait(wanted)
                server.wait_until_idle()
                for session, kept in take.kept.items():
                    found = daemons.recorded[kept.port][kept.which]
                    wrong += _keep(PLACES[name][kept.port], session, _plain(Connection(found.events)), kept)
    return 1 if wrong else 0


def _timeless(layout: Layout, directory: Path, further: str = "") -> list[Amavis]:
    """The layout's Amavis, without an opinion on dates: those of the mails stand still."""
    made = layout.filters(directory, further=_NO_CACHE + further)
    with LOCAL.open("a") as file:
        file.writelines(f"score DATE_IN_{span} 0\n" for span in _SPANS)
    return made


def _keep(name: str, session: str, connection: Connection, kept: Kept) -> bool:
    """Write the session; whether it did not come out as it has to."""
    problem = judge(Scene(name, session, kept.purpose, lambda bench, daemon: None, kept.expect), connection)
    print(f"{name}/{session}: {problem or 'ok'}", flush=True)  # noqa: T201
    comment = (
        f"{kept.purpose}\nThe whole server, and the daemon {name} of {configuration(name).name}; "
        "made by script/test-pipeline --record."
    )
    file = HERE / name / f"{session}.session"
    file.parent.mkdir(exist_ok=True)
    file.write_text(write(Recording([connection], comment)), encoding="utf-8", newline="\n")
    return bool(problem)


if __name__ == "__main__":
    sys.exit(main())
