"""What is in a recording: connections, and on each what was said, by whom, in order."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from gatepost.recording.events import Left, Raw


class Asked(NamedTuple):
    """A request: its attributes as they came, in their order."""

    attributes: tuple[tuple[str, bytes], ...]

    def octets(self) -> bytes:
        """As it goes over the wire."""
        return b"".join(b"%b=%b\n" % (name.encode(), value) for name, value in self.attributes) + b"\n"


class Answered(NamedTuple):
    """An answer."""

    action: bytes


class Clock(NamedTuple):
    """The time from here on, in seconds since 1970."""

    seconds: int


Event = Asked | Answered | Clock | Raw | Left


@dataclass(slots=True)
class Connection:
    """One connection of an MTA to a service, from its opening on.

    Without a :class:`Left` at its end it was still open when the recording ended.
    """

    events: list[Event] = field(default_factory=list)


@dataclass(slots=True)
class Recording:
    """A session file. ``comment`` is the text at its top, lines without their marks: what it is for."""

    connections: list[Connection] = field(default_factory=list)
    comment: str = ""
