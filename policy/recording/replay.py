"""Session files played to a service, and what is different now."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

from gatepost.recording.difference import PATIENCE, Difference, compare_each
from gatepost.recording.events import End, Left, Raw, Side
from gatepost.recording.octets import quote
from gatepost.recording.wire import Address, Wire
from policy.recording.events import Answered, Asked, Clock, Connection, Recording

_TIMES = (
    (re.compile(rb"(\(gatepost-seal\s+v1) t=[0-9]+ m=[A-Za-z0-9_-]+\)"), rb"\1)"),
    (re.compile(rb"\b[0-9]+ seconds\b"), rb"N seconds"),
    (re.compile(rb"(PREPEND X-Greylist: [^;]*); .*"), rb"\1"),
)


async def replay(
    recording: Recording,
    address: Address,
    *,
    masked: bool = True,
    set_clock: Callable[[float], None] | None = None,
    patience: float = PATIENCE,
) -> list[Difference]:
    """Play all connections, one after the other, to the service at *address*; gives what is different.

    *set_clock* is told the recording's time as it goes on. With *masked*, what
    changes with time may differ. Raises OSError where the service cannot be reached.
    """

    async def play(connection: Connection) -> list[str]:
        return await _Player(await Wire.connect(address), masked, set_clock, patience).play(connection)

    return await compare_each(recording.connections, play)


class _Player:
    """Says what the MTA said on one connection, and compares."""

    def __init__(
        self, wire: Wire, masked: bool, set_clock: Callable[[float], None] | None, patience: float
    ) -> None:
        self._wire = wire
        self._masked = masked
        self._set_clock = set_clock
        self._patience = patience
        self._received = b""

    async def play(self, connection: Connection) -> list[str]:
        lines: list[str] = []
        about = ""
        end = End.CLOSE
        try:
            for event in connection.events:
                match event:
                    case Clock(seconds):
                        if self._set_clock is not None:
                            self._set_clock(seconds)
                    case Asked():
                        about = _about(event)
                        self._wire.write(event.octets())
                    case Raw(Side.MTA, octets):
                        about = "what is no request"
                        self._wire.write(octets)
                    case Answered(action):
                        lines += self._compared(about, action, await self._answer())
                    case Left(Side.MTA, end):
                        break
                    case Left(Side.DAEMON, _):
                        lines += self._compared(about, None, await self._answer())
                        break
        finally:
            await self._wire.leave(end)
        return lines

    async def _answer(self) -> bytes | None:
        """The next action; None where the service has left, or has nothing to say."""
        try:
            async with asyncio.timeout(self._patience):
                while b"\n\n" not in self._received:
                    data = await self._wire.read()
                    if isinstance(data, End):
                        return None
                    self._received += data
        except TimeoutError:
            return b"no answer at all"
        answer, _, self._received = self._received.partition(b"\n\n")
        return answer.removeprefix(b"action=")

    def _compared(self, about: str, then: bytes | None, now: bytes | None) -> list[str]:
        if then == now or (self._masked and then and now and _mask(then) == _mask(now)):
            return []
        return [f" {about}", f"-{_shown(then)}", f"+{_shown(now)}"]


def _mask(action: bytes) -> bytes:
    for pattern, instead in _TIMES:
        action = pattern.sub(instead, action)
    return action


def _about(request: Asked) -> str:
    """Which request this is, for people."""
    values = dict(request.attributes)
    names = ("protocol_state", "client_address", "sender", "recipient")
    return " ".join(f"{name}={quote(values.get(name, b''))}" for name in names)


def _shown(action: bytes | None) -> str:
    return "the connection is closed" if action is None else quote(action)
