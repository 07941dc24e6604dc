"""What a daemon's packets come to: for each message the verdict and what it changed, in comparable form.

How it was said does not count: which steps were answered, in what order fields
of different places were removed, whether "continue" or "accept" ended the
message. What is done to the message counts, and the order of insertions does.
"""

from __future__ import annotations

import re
import struct
from bisect import insort
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import unified_diff
from hashlib import sha256

from gatepost.recording.events import Left, Raw, Side
from gatepost.recording.octets import quote, strings
from milters import mfdef
from milters.recording.events import Event, Packet
from milters.recording.manners import Manners
from milters.recording.words import COMMAND_NAMES, COMMANDS

_FINAL = {
    mfdef.SMFIR_ACCEPT: "accept",
    mfdef.SMFIR_CONTINUE: "continue",
    mfdef.SMFIR_DISCARD: "discard",
    mfdef.SMFIR_REJECT: "reject",
    mfdef.SMFIR_SKIP: "skip",
    mfdef.SMFIR_TEMPFAIL: "tempfail",
    mfdef.SMFIR_REPLYCODE: "reply",
    COMMANDS[Side.DAEMON]["CONN_FAIL"]: "connection failure",
    COMMANDS[Side.DAEMON]["SHUTDOWN"]: "shutdown",
}
_REPLBODY = COMMANDS[Side.DAEMON]["REPLBODY"]
_ENVELOPE = {COMMANDS[Side.DAEMON][name] for name in ("ADDRCPT", "ADDRCPT_PAR", "CHGFROM", "DELRCPT")}
_OF_MESSAGE = frozenset(
    {
        mfdef.SMFIC_MAIL,
        mfdef.SMFIC_RCPT,
        mfdef.SMFIC_DATA,
        mfdef.SMFIC_HEADER,
        mfdef.SMFIC_EOH,
        mfdef.SMFIC_BODY,
        mfdef.SMFIC_BODYEOB,
    }
)
_ENDS_MESSAGE = frozenset(
    {
        mfdef.SMFIC_ABORT,
        mfdef.SMFIC_BODYEOB,
        mfdef.SMFIC_CONNECT,
        mfdef.SMFIC_QUIT,
        mfdef.SMFIC_QUIT_NC,
    }
)
_SIGNATURES = frozenset({b"dkim-signature", b"arc-message-signature", b"arc-seal"})
_TIMES = re.compile(rb"((?:^|;)[ \t\r\n]*[tx]=)[0-9]+")
_SIGNATURE = re.compile(rb"((?:^|;)[ \t\r\n]*b=)[^;]*")
_SEAL = re.compile(rb"(\(gatepost-seal\s+v1) t=[0-9]+ m=[A-Za-z0-9_-]+\)")


@dataclass(frozen=True, slots=True)
class Answer:
    """What the daemon made of a message, or of what came before one (``message`` is then 0).

    ``stage`` is the command that was answered. ``lines`` say what was done, for
    people and for comparing.
    """

    message: int
    stage: str
    lines: tuple[str, ...]


@dataclass(slots=True)
class _Changes:
    """What is done to the message at its end, as it is told."""

    fields: dict[tuple[bytes, int], bytes] = field(default_factory=dict)
    gone: dict[bytes, list[int]] = field(default_factory=dict)
    insertions: list[tuple[str, bytes, bytes]] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    body: bytearray | None = None


class Listener:
    """Follows a dialogue and makes answers of it. ``answers`` are those so far, ``manners`` what was agreed.

    With *masked*, what depends on the time of day is left out of inserted
    fields: t=, x= and b= of signatures, and our seals.
    """

    def __init__(self, *, masked: bool) -> None:
        self.answers: list[Answer] = []
        self.manners = Manners()
        self._masked = masked
        self._message = 0
        self._in_message = False
        self._due: deque[tuple[int, int, int]] = deque()
        self._changes = _Changes()

    @property
    def unanswered(self) -> list[int]:
        """The steps, by the place that ``step`` was given, to which an answer is still due."""
        return [place for place, _, _ in self._due]

    def step(self, command: int, place: int = 0, *, taken: bool = True) -> None:
        """The MTA came to a command; *taken* is False where it left that out."""
        if command in _OF_MESSAGE and (command == mfdef.SMFIC_MAIL or not self._in_message):
            self._message += 1
            self._in_message = True
        if taken and self.manners.awaits(command):
            self._due.append((place, self._message if command in _OF_MESSAGE else 0, command))
        if command in _ENDS_MESSAGE:
            self._in_message = False

    def hear(self, command: int, payload: bytes) -> str:
        """The daemon said something. What ends a step is given by its name ("accept", "reply"), else ""."""
        if command == mfdef.SMFIC_OPTNEG:
            self.manners = Manners.agreed(payload)
            if self._due:
                self._due.popleft()
            return "negotiated"
        final = _FINAL.get(command)
        if final is None:
            if command != mfdef.SMFIR_PROGRESS:
                self._action(command, payload)
            return ""
        _, message, step = self._due.popleft() if self._due else (0, self._message, 0)
        self._conclude(message, step, final, payload)
        return final

    def closed(self) -> None:
        """The daemon left first."""
        self.answers.append(Answer(self._message, "", ("closes the connection",)))

    def silent(self) -> None:
        """The daemon does not answer where it has to."""
        _, message, step = self._due.popleft() if self._due else (0, self._message, 0)
        self.answers.append(Answer(message, COMMAND_NAMES[Side.MTA].get(step, ""), ("says nothing",)))

    def _action(self, command: int, payload: bytes) -> None:
        changes = self._changes
        space = b"" if self.manners.leading_space else b" "
        try:
            if command in (mfdef.SMFIR_ADDHEADER, mfdef.SMFIR_INSHEADER):
                place = "at the end"
                if command == mfdef.SMFIR_INSHEADER:
                    (position,) = struct.unpack_from("!I", payload)
                    place, payload = f"at {position}", payload[4:]
                name, value, _ = payload.split(b"\0")
                changes.insertions.append((place, name, space + value))
            elif command == mfdef.SMFIR_CHGHEADER:
                (index,) = struct.unpack_from("!I", payload)
                name, value, _ = payload[4:].split(b"\0")
                shown = _as_shown(index, changes.gone.setdefault(name.lower(), []), removed=not value)
                changes.fields[name.lower(), shown] = space + value if value else b""
            elif command == mfdef.SMFIR_QUARANTINE:
                changes.others.append(f"quarantine {quote(payload.removesuffix(bytes(1)))}")
            elif command == _REPLBODY:
                changes.body = (changes.body or bytearray()) + payload
            elif command in _ENVELOPE:
                words = " ".join(map(quote, payload.removesuffix(b"\0").split(b"\0")))
                changes.others.append(f"{COMMAND_NAMES[Side.DAEMON][command]} {words}")
            else:
                raise ValueError("not an action")
        except (ValueError, struct.error):
            changes.others.append(f"says {quote(bytes([command]) + payload)}")

    def _conclude(self, message: int, step: int, final: str, payload: bytes) -> None:
        at_end = step == mfdef.SMFIC_BODYEOB
        if at_end and final == "continue":
            final = "accept"
        elif final in ("continue", "skip") and not at_end:
            return
        if final == "reply":
            final = f"reply {quote(payload.removesuffix(bytes(1)))}"
        changes, self._changes = self._changes, _Changes()
        stage = COMMAND_NAMES[Side.MTA].get(step, "nothing")
        self.answers.append(Answer(message, stage, (final, *self._told(changes))))

    def _told(self, changes: _Changes) -> Iterable[str]:
        for (name, index), value in sorted(changes.fields.items()):
            if value:
                yield f"replace {quote(name)} {index}:"
                yield from self._value(name, value)
            else:
                yield f"remove {quote(name)} {index}"
        for place, name, value in changes.insertions:
            yield f"insert {quote(name)} {place}:"
            yield from self._value(name, value)
        if changes.body is not None:
            yield f"replace body by {len(changes.body)} octets, SHA256 {sha256(changes.body).hexdigest()}"
        yield from changes.others

    def _value(self, name: bytes, value: bytes) -> Iterable[str]:
        if self._masked:
            value = mask(name, value)
        return (f"    {line}" for line in strings(value))


def _as_shown(index: int, gone: list[int], *, removed: bool) -> int:
    """The number that the *index*-th field of a name had before those in *gone* were removed.

    *removed*: it goes now. *gone* is in order.
    """
    for earlier in gone:
        if earlier > index:
            break
        index += 1
    if removed:
        insort(gone, index)
    return index


def mask(name: bytes, value: bytes) -> bytes:
    """The value of a header field without what depends on when it was made."""
    if name.lower() in _SIGNATURES:
        value = _SIGNATURE.sub(rb"\1...", _TIMES.sub(rb"\1...", value))
    return _SEAL.sub(rb"\1 t=... m=...)", value)


def recorded(events: Iterable[Event], *, masked: bool) -> Listener:
    """The answers of a recorded connection."""
    listener = Listener(masked=masked)
    for place, event in enumerate(events):
        match event:
            case Packet(Side.MTA, command):
                listener.step(command, place)
            case Packet(Side.DAEMON, command, payload):
                listener.hear(command, payload)
            case Raw(Side.DAEMON, octets):
                listener.answers.append(Answer(0, "", (f"says {quote(octets)}",)))
            case Left(Side.DAEMON):
                listener.closed()
    return listener


def differences(then: list[Answer], now: list[Answer]) -> list[str]:
    """Line by line what is different, "-" as recorded and "+" as it is now; empty where nothing is."""
    if then == now:
        return []
    _, _, *lines = unified_diff(_lines(then), _lines(now), n=3, lineterm="")
    return [line for line in lines if not line.startswith("@@")]


def _lines(answers: Iterable[Answer]) -> list[str]:
    lines = []
    for answer in answers:
        what = f"message {answer.message}" if answer.message else "connection"
        lines.append(f"{what}, answer to {answer.stage}:" if answer.stage else f"{what}:")
        lines += [f"    {line}" for line in answer.lines]
    return lines
