"""Recordings as text. The form is described in :mod:`milters.recording`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from milters import mfdef
from milters.recording.events import Event, Left, Packet, Raw, Recording, Side
from milters.recording.generated import claimed, generate
from milters.recording.octets import quote, strings
from milters.recording.payloads import Part, describe
from milters.recording.words import COMMAND_NAMES

VERSION_LINE = "gatepost session 1"
_INDENT = "    "


def write(recording: Recording) -> str:
    """The whole file."""
    parts = [heading(recording.comment)]
    for connection in recording.connections:
        parts.append(opening())
        parts += event_lines(connection.events)
    return "".join(parts)


def heading(comment: str) -> str:
    """How a file begins."""
    return f"{VERSION_LINE}\n" + "".join(f"# {line}".rstrip() + "\n" for line in comment.splitlines())


def opening() -> str:
    """How a connection begins."""
    return "\nopen\n"


def event_lines(events: Sequence[Event]) -> Iterator[str]:
    """What happened on a connection, a piece of text for each event or run of events, line ends included."""
    position = 0
    while position < len(events):
        size, seed, count = _generated(events, position)
        event = events[position]
        position += max(count, 1)
        match event:
            case Packet(side, command, payload, joined):
                mark = "+" if joined else f"\n{side.value}"
                name = COMMAND_NAMES[side].get(command, hex(command))
                if count:
                    yield f"{mark} {name} generated {size} octets seed {seed} by {len(payload)}\n"
                else:
                    yield f"{mark} {name}{_lines(describe(command, payload))}"
            case Raw(side, octets):
                yield f"\n{side.value} raw{_lines([[], [octets]])}"
            case Left(side, end):
                yield f"\n{side.value} {end.value}\n"


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


def _generated(events: Sequence[Event], start: int) -> tuple[int, int, int]:
    """Size and seed of the generated body that begins at *start*, and how many packets it is; 0 for none.

    Its packets are all of one size, the last one excepted, and each was written by itself.
    """
    first = events[start]
    if not isinstance(first, Packet) or first[:2] != (Side.MTA, mfdef.SMFIC_BODY):
        return 0, 0, 0
    claim = claimed(first.payload)
    if claim is None:
        return 0, 0, 0
    size, seed = claim
    try:
        body = memoryview(generate(size, seed))
    except ValueError:
        return 0, 0, 0
    count = -(-size // len(first.payload))
    chunks = (body[place : place + len(first.payload)] for place in range(0, size, len(first.payload)))
    run = events[start : start + count]
    fits = len(run) == count and all(
        isinstance(event, Packet)
        and event[:2] == (Side.MTA, mfdef.SMFIC_BODY)
        and event.payload == chunk
        and (event.joined is False or event is first)
        for event, chunk in zip(run, chunks, strict=True)
    )
    return (size, seed, count) if fits else (0, 0, 0)
