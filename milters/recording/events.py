"""What is in a recording: connections, and on each what was sent, by whom, in order."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple


class RecordingError(ValueError):
    """A session file that cannot be read. ``line`` is the number of the line, from 1."""

    def __init__(self, line: int, text: str) -> None:
        super().__init__(f"line {line}: {text}")
        self.line = line


class Side(Enum):
    """Who speaks. The values are the marks of the file."""

    MTA = ">"
    DAEMON = "<"


class End(Enum):
    """How a side left the connection: in order (FIN), or not (RST)."""

    CLOSE = "close"
    RESET = "reset"


class Packet(NamedTuple):
    """One packet. ``joined``: it was written together with the event before it, a packet of the same side."""

    side: Side
    command: int
    payload: bytes = b""
    joined: bool = False


class Raw(NamedTuple):
    """Octets that are no packet: half of one, or something else entirely."""

    side: Side
    octets: bytes


class Left(NamedTuple):
    """A side left. Nothing follows on that connection."""

    side: Side
    end: End


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
