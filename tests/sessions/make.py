"""Records all sessions anew, on a private Postfix: ``python -m tests.sessions.make [NAME…]``.

NAME is DAEMON/SCENE; none given: all of them. What is different each time (queue
ids, port numbers, the date in Postfix's own Received) is put the same in every
recording; all else is as it came over the wire.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence

from gatepost.recording.events import Side
from milters import mfdef
from milters.recording.answers import recorded
from milters.recording.events import Connection, Event, Packet, Recording
from milters.recording.payloads import Part, build, describe
from milters.recording.writer import write
from tests.harness.postfix import unavailable
from tests.sessions import scenes_dialogue, scenes_dmarc, scenes_sign, scenes_verify, zone
from tests.sessions.bench import Bench
from tests.sessions.daemons import HERE, configuration
from tests.sessions.scene import Scene

_PORT = re.compile(rb":[0-9]+$")
_ID = re.compile(rb" id [0-9A-F]+")
_DATE = re.compile(rb"; .*\(UTC\)$")


def scenes() -> list[Scene]:
    """All of them."""
    return [
        *scenes_dialogue.SCENES,
        *scenes_verify.SCENES,
        *scenes_sign.SCENES,
        *scenes_dmarc.SCENES,
    ]


def main(arguments: Sequence[str]) -> int:
    """Record, and tell what did not come out as it has to; 0 where all did."""
    reason = unavailable()
    if reason:
        print(f"no sessions can be recorded: {reason}")  # noqa: T201
        return 1
    zone.write()
    wrong = 0
    with Bench() as bench:
        version = bench.version
        for scene in scenes():
            name = f"{scene.daemon}/{scene.name}"
            if arguments and name not in arguments:
                continue
            scene.act(bench, scene.daemon)
            connection = levelled(bench.wait_for_recording(scene.daemon))
            problem = judge(scene, connection)
            print(f"{name}: {problem or 'ok'}", flush=True)  # noqa: T201
            wrong += bool(problem)
            comment = (
                f"{scene.purpose}\nPostfix {version} and the daemon {scene.daemon} of "
                f"{configuration(scene.daemon).name}; made by script/record-sessions."
            )
            file = HERE / scene.daemon / f"{scene.name}.session"
            file.parent.mkdir(exist_ok=True)
            file.write_text(write(Recording([connection], comment)), encoding="utf-8", newline="\n")
    print(f"{wrong} not as they have to be" if wrong else "all as they have to be")  # noqa: T201
    return 1 if wrong else 0


def judge(scene: Scene, connection: Connection) -> str:
    """What is wrong with the daemon's answers; "" where nothing is."""
    answers = recorded(connection.events, masked=False).answers
    text = "\n".join(f"message {answer.message} " + "\n".join(answer.lines) for answer in answers)
    wrong = [word for word in scene.expect if (word.removeprefix("!") in text) is word.startswith("!")]
    if wrong:
        return f"{wrong} does not hold for:\n{text}"
    return f"an answer where none is due:\n{text}" if answers and not scene.expect else ""


def levelled(connection: Connection) -> Connection:
    """The connection with all that is different each time put the same."""
    ids: dict[bytes, bytes] = {}
    return Connection([_levelled(event, ids) for event in connection.events])


def _levelled(event: Event, ids: dict[bytes, bytes]) -> Event:
    if not isinstance(event, Packet) or event.side is not Side.MTA:
        return event
    parts: list[Part] = [part for line in describe(event.command, event.payload) for part in line]
    match event.command, parts:
        case mfdef.SMFIC_MACRO, _:
            for place, part in enumerate(parts[1:], start=1):
                if parts[place - 1] == "i=" and isinstance(part, bytes):
                    parts[place] = ids.setdefault(part, b"4AB%07d" % (len(ids) + 1))
                elif parts[place - 1] == "{rcpt_host}=" and isinstance(part, bytes):
                    parts[place] = _PORT.sub(b":2525", part)
        case mfdef.SMFIC_CONNECT, [name, family, _, address]:
            parts = [name, family, "40000", address]
        case mfdef.SMFIC_HEADER, [b"Received", bytes(value)]:
            parts[1] = _DATE.sub(
                b"; Sat, 21 Nov 2026 10:00:00 +0000 (UTC)", _ID.sub(b" id 4AB0000000", value)
            )
        case _:
            return event
    return event._replace(payload=build(event.command, parts))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
