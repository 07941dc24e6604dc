"""Session files read. The form is described in :mod:`milters.recording`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from gatepost.recording.events import End, Left, Raw, RecordingError, Side
from gatepost.recording.heading import read_heading
from gatepost.recording.octets import unquote
from milters import mfdef
from milters.recording import words
from milters.recording.events import Connection, Event, Packet, Recording
from milters.recording.generated import generate
from milters.recording.payloads import Part, build
from milters.recording.writer import VERSION_LINE

MAX_OCTETS = 256 * 1024 * 1024
"""Octets that all packets of a file may have together, repetitions and generated bodies included."""

_PART = re.compile(r'[ \t]*+(?:"([^"\\]*+(?:\\.[^"\\]*+)*)"(?:[ \t]*\*[ \t]*([0-9]{1,9}))?|([^\s"]+))')
_SPACE = re.compile(r"[ \t]*")
_MARKS = {"> ": Side.MTA, "< ": Side.DAEMON}
_ENDS = {end.value: end for end in End}


def parse(text: str) -> Recording:
    """Read the text of a session file. Raises RecordingError for what is none, with the number of the line."""
    return _Parser(text).recording


class _Parser:
    """Goes through the lines once. ``_parts`` are those of the event that is being read."""

    def __init__(self, text: str) -> None:
        self.recording = Recording()
        self._line = 1
        self._left = MAX_OCTETS
        self._begun = 0
        self._side = Side.MTA
        self._joined = False
        self._parts: list[str | bytearray] = []
        self._body = b""
        self._body_of = (0, 0)
        self.recording.comment, lines = read_heading(text, VERSION_LINE)
        for self._line, line in enumerate(lines, start=2):
            self._take(line)
        self._finish()

    def _take(self, line: str) -> None:
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            return
        if line[0] in " \t":
            if not self._begun:
                raise RecordingError(
                    self._line, "an indented line continues the one above, but there is none"
                )
            self._continue(line)
            return
        self._finish()
        if stripped == "open":
            self.recording.connections.append(Connection())
            return
        mark = line[:2]
        if mark != "+ " and mark not in _MARKS:
            raise RecordingError(self._line, 'expected "open", or a line that begins with ">", "<" or "+"')
        events = self._events()
        if mark == "+ ":
            if not events or not isinstance(events[-1], Packet):
                raise RecordingError(self._line, '"+" continues a write, but no packet stands above it')
            self._side = events[-1].side
        else:
            self._side = _MARKS[mark]
        self._joined = mark == "+ "
        self._begun = self._line
        self._parts = self._read(line[2:])
        if not self._parts:
            raise RecordingError(self._line, "expected a command")

    def _events(self) -> list[Event]:
        """Those of the connection that is being read."""
        if not self.recording.connections:
            raise RecordingError(self._line, 'the connection is not open: "open" is missing above')
        events = self.recording.connections[-1].events
        if events and isinstance(events[-1], Left):
            raise RecordingError(self._line, 'the connection has ended: "open" is missing above')
        return events

    def _continue(self, line: str) -> None:
        """An indented line: a string at its beginning goes on where the last one stopped."""
        parts = self._read(line)
        match self._parts[-1], parts:
            case bytearray(last), [bytearray(more), *rest]:
                last += more
                self._parts += rest
            case _:
                self._parts += parts

    def _read(self, text: str) -> list[str | bytearray]:
        parts: list[str | bytearray] = []
        position = 0
        while (space := _SPACE.match(text, position)) and space.end() < len(text):
            found = _PART.match(text, position)
            if found is None:
                raise RecordingError(self._line, "a quoted string does not end")
            position = found.end()
            if found[3] is not None:
                parts.append(found[3])
                continue
            try:
                octets = unquote(found[1])
                times = 1 if found[2] is None else int(found[2])
                self._spend(len(octets) * times)
            except ValueError as error:
                raise RecordingError(self._line, str(error)) from None
            parts.append(bytearray(octets * times))
        return parts

    def _spend(self, octets: int) -> None:
        self._left -= octets
        if self._left < 0:
            raise ValueError(f"more than {MAX_OCTETS} octets")

    def _finish(self) -> None:
        """The event that was being read is complete."""
        if not self._begun:
            return
        line, self._begun = self._begun, 0
        parts = [bytes(part) if isinstance(part, bytearray) else part for part in self._parts]
        try:
            self.recording.connections[-1].events.append(self._event(parts))
        except ValueError as error:
            raise RecordingError(line, str(error)) from None

    def _event(self, parts: Sequence[Part]) -> Event:
        side = self._side
        name, *rest = parts
        if isinstance(name, bytes):
            raise ValueError("expected a command")
        if name == "raw" and len(rest) == 1 and isinstance(rest[0], bytes):
            return Raw(side, rest[0])
        if name in _ENDS and not rest:
            return Left(side, _ENDS[name])
        command = words.COMMANDS[side].get(name)
        if command is None:
            if not re.fullmatch("0x[0-9a-f]{1,2}", name):
                raise ValueError(f"the {side.name.lower().replace('mta', 'MTA')} has no command {name}")
            command = int(name, 16)
        if command == mfdef.SMFIC_BODY and "generated" in rest:
            payload = self._generated(rest)
        else:
            payload = build(command, rest)
        return Packet(side, command, payload, self._joined)

    def _generated(self, parts: Sequence[Part]) -> bytes:
        """``generated SIZE octets seed SEED from START to END``: a chunk of a generated body."""
        match parts:
            case ["generated", str(size), "octets", "seed", str(seed), "from", str(start), "to", str(end)]:
                numbers = [
                    int(word) if re.fullmatch("[0-9]{1,9}", word) else -1 for word in (size, seed, start, end)
                ]
            case _:
                raise ValueError("expected generated SIZE octets seed NUMBER from NUMBER to NUMBER")
        if not 0 <= numbers[2] < numbers[3] <= numbers[0] or numbers[1] < 0:
            raise ValueError("there is no such part of a generated body")
        self._spend(numbers[3] - numbers[2])
        if self._body_of != (numbers[0], numbers[1]):
            # The chunks of a body follow each other: it is made once.
            self._body = generate(numbers[0], numbers[1])
            self._body_of = numbers[0], numbers[1]
        return self._body[numbers[2] : numbers[3]]
