"""Records all policy sessions anew, on a private Postfix: ``python -m tests.sessions.policy.make [NAME…]``.

NAME is DAEMON/SCENE; none given: all of them. What is different each time
(instances, queue ids, ports) is put the same in every recording; all else is as
it came over the wire.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

from policy.recording.events import Answered, Asked, Connection, Event, Recording
from policy.recording.text import write
from tests.harness.postfix import unavailable
from tests.sessions.policy.bench import Bench
from tests.sessions.policy.daemons import HERE
from tests.sessions.policy.scenes import SCENES, Scene


def main(arguments: Sequence[str]) -> int:
    """Record, and tell what did not come out as it has to; 0 where all did."""
    reason = unavailable()
    if reason:
        print(f"no sessions can be recorded: {reason}")  # noqa: T201
        return 1
    done = subprocess.run(["postconf", "-dh", "mail_version"], capture_output=True, text=True, check=True)
    wrong = 0
    with Bench() as bench:
        for scene in SCENES:
            name = f"{scene.daemon}/{scene.name}"
            if arguments and name not in arguments:
                continue
            with bench.recording(scene.daemon) as found:
                scene.act(bench)
            connections = levelled(found)
            problem = judge(scene, connections)
            print(f"{name}: {problem or 'ok'}", flush=True)  # noqa: T201
            wrong += bool(problem)
            comment = (
                f"{scene.purpose}\nPostfix {done.stdout.strip()} and the daemon {scene.daemon} of gatepost.yaml; "
                "made by script/record-sessions."
            )
            file = HERE / scene.daemon / f"{scene.name}.session"
            file.parent.mkdir(exist_ok=True)
            file.write_text(write(Recording(connections, comment)), encoding="utf-8", newline="\n")
    print(f"{wrong} not as they have to be" if wrong else "all as they have to be")  # noqa: T201
    return 1 if wrong else 0


def judge(scene: Scene, connections: Sequence[Connection]) -> str:
    """What is wrong with the service's answers; "" where nothing is."""
    events = [event for connection in connections for event in connection.events]
    text = "\n".join(event.action.decode() for event in events if isinstance(event, Answered))
    wrong = [word for word in scene.expect if (word.removeprefix("!") in text) is word.startswith("!")]
    return f"{wrong} does not hold for:\n{text}" if wrong else ""


def levelled(connections: Sequence[Connection]) -> list[Connection]:
    """The connections with all that is different each time put the same."""
    ids: dict[bytes, bytes] = {}
    return [Connection([_levelled(event, ids) for event in each.events]) for each in connections]


def _levelled(event: Event, ids: dict[bytes, bytes]) -> Event:
    if not isinstance(event, Asked):
        return event
    attributes = []
    for name, value in event.attributes:
        if value and name == "instance":
            value = ids.setdefault(value, b"1a2b.6a5c0f00.%d.0" % (len(ids) + 1))
        elif value and name == "queue_id":
            value = ids.setdefault(value, b"4AB%07d" % (len(ids) + 1))
        elif name == "client_port":
            value = b"40000"
        elif name == "server_port":
            value = b"25"
        attributes.append((name, value))
    return Asked(tuple(attributes))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
