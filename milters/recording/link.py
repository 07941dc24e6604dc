"""A connection to a daemon, packet by packet."""

from __future__ import annotations

import asyncio

from gatepost.recording.events import End
from gatepost.recording.wire import Wire


class PacketLink:
    """A connection to a daemon, packet by packet. *patience*: seconds to wait for one."""

    def __init__(self, wire: Wire, patience: float) -> None:
        self._wire = wire
        self._patience = patience
        self._received = bytearray()

    async def send(self, octets: bytes) -> None:
        """Send it all. Raises TimeoutError where the daemon does not read."""
        async with asyncio.timeout(self._patience):
            self._wire.write(octets)
            await self._wire.drain()

    async def receive(self) -> tuple[int, bytes] | None:
        """The next packet, as command and payload; None where the daemon has left. Raises TimeoutError."""
        received = self._received
        async with asyncio.timeout(self._patience):
            while (end := _end_of_packet(received)) > len(received):
                data = await self._wire.read()
                if isinstance(data, End):
                    return None
                received += data
        command, payload = received[4], bytes(received[5:end])
        del received[:end]
        return command, payload

    async def leave(self, end: End) -> None:
        """End the connection."""
        await self._wire.leave(end)


def _end_of_packet(received: bytearray) -> int:
    """Where the first packet ends, as far as can be told yet."""
    return max(5, 4 + int.from_bytes(received[:4], "big")) if len(received) > 4 else 5
