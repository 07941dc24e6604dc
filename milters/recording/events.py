"""What is in a recording: connections, and on each what was sent, by whom, in order."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from gatepost.recording.events import Left, Raw, Side


class Packet(NamedTuple):
    """One packet. ``joined``: it was written together with the event before it, a packet of the same side."""

    side: Side
    command: int
    payload: bytes = b""
    joined: bool = False


Event = Packet | Raw | Left


@dataclass(slots=True)
class Connection:
    """One connection of an MTA to a daemon, from its opening on.

    Without a :class:`Left` at its end it was still open when the recording ended.
    """

    events: list[Event] = field(default_factory=list)


@dataclass(slots=True)
class Recording:
    """A session file. ``comment`` is the text at its top, lines without their marks: what it is for."""

    connections: list[Connection] = field(default_factory=list)
    comment: str = ""
