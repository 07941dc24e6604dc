"""Plays the MTA's side of a recorded connection to a daemon of today.

What is negotiated counts as it is now: steps that the daemon no longer wants
are left out, answers are awaited where they are due, and a message that the
daemon refuses early is not sent on. Packets that went together go together.
"""

from __future__ import annotations

from typing import Protocol

from gatepost.recording.events import End, Left, Raw, Side
from milters import mfdef
from milters.protocol import packet
from milters.recording.answers import Listener, recorded
from milters.recording.events import Connection, Packet

_SESSION = frozenset({mfdef.SMFIC_CONNECT, mfdef.SMFIC_HELO})
_ALWAYS = frozenset({mfdef.SMFIC_ABORT, mfdef.SMFIC_QUIT, mfdef.SMFIC_QUIT_NC, mfdef.SMFIC_OPTNEG})
_ENDS_MESSAGE = frozenset({mfdef.SMFIC_ABORT, mfdef.SMFIC_MAIL})
_WITHIN_MESSAGE = frozenset(
    {mfdef.SMFIC_MAIL, mfdef.SMFIC_DATA, mfdef.SMFIC_HEADER, mfdef.SMFIC_EOH, mfdef.SMFIC_BODY}
)
"""Where a decision is about the whole message. At RCPT a refusal is about that recipient alone."""
_MAIL = bytes([mfdef.SMFIC_MAIL])
_REFUSALS = frozenset({"reject", "tempfail", "reply"})
_DECISIONS = _REFUSALS | {"accept", "discard", "shutdown", "connection failure"}


class Link(Protocol):
    """A connection to a daemon."""

    async def send(self, octets: bytes) -> None:
        """Send it all, in one write. Nothing happens where the daemon has left."""

    async def receive(self) -> tuple[int, bytes] | None:
        """The next packet, as command and payload; None where the daemon has left. Raises TimeoutError."""

    async def leave(self, end: End) -> None:
        """End the connection."""


async def play(connection: Connection, link: Link, *, masked: bool) -> Listener:
    """Say to the daemon behind *link* what the MTA said; gives what the daemon answered.

    It ends early where the daemon leaves, or does not give an answer that is due.
    """
    player = _Player(connection, link, masked=masked)
    try:
        await player.run()
    except TimeoutError:
        player.listener.silent()
        await link.leave(End.RESET)
    return player.listener


class _Player:
    """``_muted`` is what the MTA has nothing more to say about: one "message", or the whole "session"."""

    def __init__(self, connection: Connection, link: Link, *, masked: bool) -> None:
        self.listener = Listener(masked=masked)
        self._events = connection.events
        self._link = link
        then = recorded(self._events, masked=masked)
        self._never_answered = frozenset(then.unanswered)
        self._had_space = then.manners.leading_space
        self._out = bytearray()
        self._muted = ""
        self._skipping = False
        self._gone = False

    async def run(self) -> None:
        for place, event in enumerate(self._events):
            match event:
                case Packet(Side.MTA, command, payload, joined):
                    if not joined:
                        await self._flush()
                    await self._step(place, command, payload)
                case Raw(Side.MTA, octets):
                    self._out += octets
                case Left(side, end):
                    await self._flush()
                    if side is Side.DAEMON:
                        await self._see_daemon_leave()
                        end = End.CLOSE
                    await self._link.leave(end)
                    return
            if self._gone:
                break
        await self._flush()
        await self._link.leave(End.CLOSE)

    async def _step(self, place: int, command: int, payload: bytes) -> None:
        if command == mfdef.SMFIC_MACRO:
            # An MTA sends them also for a step that it leaves out.
            if payload[:1] == _MAIL and self._muted == "message":
                self._muted = ""
            if not self._muted and (wanted := self.listener.manners.wanted_macros(payload)):
                self._out += packet(command, wanted)
            return
        sent = self._sends(command)
        self.listener.step(command, place, taken=sent)
        if not sent:
            return
        manners = self.listener.manners
        if command == mfdef.SMFIC_HEADER:
            payload = self._header(payload)
        self._out += packet(command, payload)
        if manners.awaits(command) and place not in self._never_answered:
            await self._flush()
            await self._await_answer(command)

    def _sends(self, command: int) -> bool:
        if command != mfdef.SMFIC_BODY:
            self._skipping = False
        if command == mfdef.SMFIC_QUIT_NC or (command in _ENDS_MESSAGE and self._muted == "message"):
            self._muted = ""
        if command in _ALWAYS:
            return True
        return not self._muted and not self._skipping and self.listener.manners.sends(command)

    def _header(self, payload: bytes) -> bytes:
        """A field as the MTA sends it now: with the space behind the colon, or without."""
        has_space = self.listener.manners.leading_space
        name, end, value = payload.partition(b"\0")
        if has_space == self._had_space or not end:
            return payload
        if not has_space:
            return name + end + value.removeprefix(b" ")
        return payload if value[:1] in (b"\t", b"\n", b"\0") else name + end + b" " + value

    async def _await_answer(self, command: int) -> None:
        while True:
            heard = await self._link.receive()
            if heard is None:
                self._gone = True
                self.listener.closed()
                return
            final = self.listener.hear(*heard)
            if final:
                break
        if final == "skip":
            self._skipping = True
        elif final in _DECISIONS:
            if command in _SESSION:
                self._muted = "session"
            elif command in _WITHIN_MESSAGE or (command == mfdef.SMFIC_RCPT and final not in _REFUSALS):
                self._muted = "message"

    async def _flush(self) -> None:
        if self._out:
            out, self._out = bytes(self._out), bytearray()
            await self._link.send(out)

    async def _see_daemon_leave(self) -> None:
        """The daemon left here; it should do so now."""
        while heard := await self._link.receive():
            self.listener.hear(*heard)
        self.listener.closed()
