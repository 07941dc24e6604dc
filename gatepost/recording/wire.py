"""Connections to a daemon, and between an MTA and a daemon, on asyncio."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Protocol

from gatepost.recording.events import End

_READ = 256 * 1024
_QUICKACK = getattr(socket, "TCP_QUICKACK", None)  # Linux


class Address(Protocol):
    """Where a daemon listens: ``gatepost.config.types.SocketAddress`` is one."""

    @property
    def family(self) -> str:
        """inet, inet6 or unix."""

    @property
    def host(self) -> str:
        """The host, with inet and inet6."""

    @property
    def port(self) -> int:
        """The port, with inet and inet6."""

    @property
    def path(self) -> str:
        """The path, with unix."""


class Wire:
    """One end of a connection: octets in and out as they come, without delay."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._socket: socket.socket = writer.get_extra_info("socket")
        self._tcp = self._socket.family != socket.AF_UNIX
        if self._tcp:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @classmethod
    async def connect(cls, address: Address) -> Wire:
        """Connect to *address*. Raises OSError."""
        if address.family == "unix":
            return cls(*await asyncio.open_unix_connection(address.path))
        return cls(*await asyncio.open_connection(address.host, address.port))

    async def read(self) -> bytes | End:
        """What has come, as soon as something has; or how the other side left."""
        if self._tcp and _QUICKACK is not None:
            # Not to hold up whoever waits for an acknowledgement; Linux forgets it again (tcp(7)).
            self._socket.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)
        try:
            return await self._reader.read(_READ) or End.CLOSE
        except OSError:
            return End.RESET

    def write(self, octets: bytes) -> None:
        """Send it all. Where the other side has left, it goes nowhere: ``read`` will tell."""
        self._writer.write(octets)

    async def drain(self) -> None:
        """Wait until there is room for more."""
        try:
            await self._writer.drain()
        except OSError:
            pass  # as above: ``read`` will tell

    def finish(self) -> None:
        """Say that nothing more will come, and go on listening."""
        if not self._writer.is_closing():
            try:
                self._writer.write_eof()
            except OSError:
                pass  # the other side has left

    async def leave(self, end: End) -> None:
        """Close, after what was written has gone out; or with a reset, at once."""
        if end is End.RESET:
            if self._tcp:
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._writer.transport.abort()
        else:
            self._writer.close()
        try:
            await self._writer.wait_closed()
        except OSError:
            pass  # it is closed all the same
