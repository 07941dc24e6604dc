"""Recordings as text, written and read. The form is described in :mod:`policy.recording`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from gatepost.recording.events import End, Left, Raw, RecordingError, Side
from gatepost.recording.heading import heading, read_heading
from gatepost.recording.octets import quote, unquote
from policy.recording.events import Answered, Asked, Clock, Connection, Event, Recording

VERSION_LINE = "gatepost policy session 1"

_ATTRIBUTE = re.compile(r'[ \t]+([A-Za-z0-9_.-]+)="([^"\\]*+(?:\\.[^"\\]*+)*)"[ \t]*')
_SAID = re.compile(r'([<>]) (action|raw) "([^"\\]*+(?:\\.[^"\\]*+)*)"[ \t]*')
_LEFT = re.compile(r"([<>]) (close|reset)[ \t]*")
_CLOCK = re.compile(r"clock ([0-9]{1,12})[ \t]*")


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

    def lines(self, events: Iterable[Event]) -> Iterator[str]:
        """The next *events* as text, line ends included."""
        if not self._opened:
            self._opened = True
            yield "\nopen\n"
        for event in events:
            match event:
                case Clock(seconds):
                    yield f"\nclock {seconds}\n"
                case Asked(attributes):
                    yield "\n> request\n"
                    for name, value in attributes:
                        yield f"    {name}={quote(value)}\n"
                case Answered(action):
                    yield f"\n< action {quote(action)}\n"
                case Raw(side, octets):
                    yield f"\n{side.value} raw {quote(octets)}\n"
                case Left(side, end):
                    yield f"\n{side.value} {end.value}\n"


def parse(text: str) -> Recording:
    """Read the text of a session file. Raises RecordingError for what is none, with the number of the line."""
    comment, lines = read_heading(text, VERSION_LINE)
    recording = Recording(comment=comment)
    asked: list[tuple[str, bytes]] = []
    for number, line in enumerate(lines, start=2):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            if line[0] in " \t":
                asked.append(_attribute(line, recording))
                recording.connections[-1].events[-1] = Asked(tuple(asked))
                continue
            asked = []
            if line.strip() == "open":
                recording.connections.append(Connection())
            else:
                _open(recording).append(_event(line))
        except ValueError as error:
            raise RecordingError(number, str(error)) from None
    return recording


def _open(recording: Recording) -> list[Event]:
    """The events of the connection that is being read. Raises ValueError where none is."""
    events = recording.connections[-1].events if recording.connections else None
    if events is None or (events and isinstance(events[-1], Left)):
        raise ValueError('the connection is not open: "open" is missing above')
    return events


def _attribute(line: str, recording: Recording) -> tuple[str, bytes]:
    events = recording.connections[-1].events if recording.connections else []
    if not events or not isinstance(events[-1], Asked):
        raise ValueError("an indented line is an attribute of the request above, but there is none")
    found = _ATTRIBUTE.fullmatch(line)
    if found is None:
        raise ValueError('expected an attribute, as name="value"')
    return found[1], unquote(found[2])


def _event(line: str) -> Event:
    if line.rstrip() == "> request":
        return Asked(())
    if found := _CLOCK.fullmatch(line):
        return Clock(int(found[1]))
    if found := _LEFT.fullmatch(line):
        return Left(Side(found[1]), End(found[2]))
    if found := _SAID.fullmatch(line):
        if found[2] == "raw":
            return Raw(Side(found[1]), unquote(found[3]))
        if found[1] == Side.DAEMON.value:
            return Answered(unquote(found[3]))
    raise ValueError('expected "open", "clock", "> request", "< action", raw, close or reset')
