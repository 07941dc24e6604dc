"""What recordings of any protocol have in common: two sides, octets that are nothing else, and an end."""

from __future__ import annotations

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


class Raw(NamedTuple):
    """Octets that are no packet, no request and no answer: half of one, or something else entirely."""

    side: Side
    octets: bytes


class Left(NamedTuple):
    """A side left. Nothing follows on that connection."""

    side: Side
    end: End
