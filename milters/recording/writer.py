"""Recordings as text. The form is described in :mod:`milters.recording`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from gatepost.recording.events import Left, Raw
from gatepost.recording.heading import heading
from gatepost.recording.octets import quote, strings
from milters import mfdef
from milters.recording.events import Event, Packet, Recording
from milters.recording.generated import claimed, generate
from milters.recording.payloads import Part, describe
from milters.recording.words import COMMAND_NAMES

VERSION_LINE = "gatepost session 1"
_INDENT = "    "


def write(recording: Recording) -> str:
    """The whole file."""
    parts = [heading(VERSION_LINE, recording.comment)]
    for connection in recording.connections:
        parts += ConnectionWriter().lines(connection.events)
    return "".join(parts)


class ConnectionWriter:
    """Writes one connection, all at once or in pieces."""

    def __init__(self) -> None:
        self._opened = False
        self._body = memoryview(b"")
        self._claim = (0, 0)
        self._place = 0

    def lines(self, events: Iterable[Event]) -> Iterator[str]:
        """The next *events* as text, line ends included."""
        if not self._opened:
            self._opened = True
            yield "\nopen\n"
        for event in events:
            match event:
                case Packet(side, command, payload, joined):
                    mark = "+" if joined else f"\n{side.value}"
                    name = COMMAND_NAMES[side].get(command, hex(command))
                    generated = self._generated(event) if command == mfdef.SMFIC_BODY else ""
                    yield f"{mark} {name}{generated or _lines(describe(command, payload))}"
                case Raw(side, octets):
                    yield f"\n{side.value} raw{_lines([[], [octets]])}"
                case Left(side, end):
                    yield f"\n{side.value} {end.value}\n"

    def _generated(self, packet: Packet) -> str:
        """What stands for a chunk of a generated body; "" where it is none, or not the next one."""
        payload = packet.payload
        claim = claimed(payload)
        if claim is not None:
            self._claim = claim
            self._place = 0
            try:
                self._body = memoryview(generate(*claim))
            except ValueError:
                self._body = memoryview(b"")
        start, end = self._place, self._place + len(payload)
        if not payload or self._body[start:end] != payload:
            self._body = memoryview(b"")
            return ""
        self._place = end
        size, seed = self._claim
        return f" generated {size} octets seed {seed} from {start} to {end}\n"


def _lines(lines: Sequence[Sequence[Part]]) -> str:
    """What follows a command's name: the first line's parts, then the others', indented."""
    first, *others = map(_line, lines)
    return "".join([f" {first}" if first else "", *(f"\n{_INDENT}{line}" for line in others), "\n"])


def _line(parts: Sequence[Part]) -> str:
    text = ""
    for part in parts:
        space = "" if not text or text.endswith("=") else " "
        text += space + (part if isinstance(part, str) else _string(part))
    return text


def _string(octets: bytes) -> str:
    return f"\n{_INDENT}".join(strings(octets)) or quote(b"")
