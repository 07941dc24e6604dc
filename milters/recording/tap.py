"""From what was read on both sides of a connection to the events of its recording. No I/O."""

from __future__ import annotations

from gatepost.recording.events import End, Left, Raw, Side
from milters import mfdef
from milters.recording.events import Event, Packet

_LONGEST = 2**24
"""Octets of the longest packet that is taken for one. libmilter takes 64 kB; other milters more."""


class Tap:
    """Listens in on one connection.

    ``events`` is what has happened since it was last emptied. Where a stream
    turns out not to be the milter protocol, the rest of it is kept as it is.
    """

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.left: Left | None = None
        self._last: Event | None = None
        self._quit = False
        self._streams = {side: _Stream() for side in Side}

    @property
    def between_messages(self) -> bool:
        """Whether nothing is half said, and the daemon had the last word."""
        settled = not any(stream.rest for stream in self._streams.values())
        return settled and isinstance(self._last, Packet) and self._last.side is Side.DAEMON

    def read(self, side: Side, data: bytes) -> None:
        """*side* sent *data*."""
        stream = self._streams[side]
        # Where one read ends within a packet and the next goes on, the cut was the kernel's, not the sender's.
        joined = bool(stream.rest)
        packets, sound = stream.take(data)
        for command, payload in packets:
            self._note(Packet(side, command, payload, joined and self._joins(side)))
            joined = True
            if side is Side.MTA and command == mfdef.SMFIC_QUIT:
                self._quit = True
        if not sound:
            self._note(Raw(side, bytes(stream.rest)))
            stream.rest.clear()

    def leave(self, side: Side, end: End) -> None:
        """*side* left the connection. Only who left first is noted; after a QUIT that is the MTA."""
        if self.left is not None:
            return
        for each, stream in self._streams.items():
            if stream.rest:
                self._note(Raw(each, bytes(stream.rest)))
                stream.rest.clear()
        self.left = Left(Side.MTA, End.CLOSE) if self._quit else Left(side, end)
        self._note(self.left)

    def _note(self, event: Event) -> None:
        self.events.append(event)
        self._last = event

    def _joins(self, side: Side) -> bool:
        """Whether what *side* says next stands right below what it said before."""
        return isinstance(self._last, Packet) and self._last.side is side


class _Stream:
    """One direction: the octets of which no packet was made yet."""

    def __init__(self) -> None:
        self.rest = bytearray()
        self._broken = False

    def take(self, data: bytes) -> tuple[list[tuple[int, bytes]], bool]:
        """The packets that *data* completes; False where what is left will never be one."""
        self.rest += data
        packets: list[tuple[int, bytes]] = []
        start = 0
        while not self._broken and len(self.rest) - start > 4:
            length = int.from_bytes(self.rest[start : start + 4], "big")
            end = start + 4 + length
            if not 0 < length <= _LONGEST:
                self._broken = True
            elif end > len(self.rest):
                break
            else:
                packets.append((self.rest[start + 4], bytes(self.rest[start + 5 : end])))
                start = end
        del self.rest[:start]
        return packets, not self._broken or not self.rest
