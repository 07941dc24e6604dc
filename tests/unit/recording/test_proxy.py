"""The proxy: every octet passes, ends are passed on as they are, and all is written down."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from gatepost.config.types import SocketAddress
from gatepost.recording.events import End, Left, Side
from gatepost.recording.proxy import Book, Proxy
from gatepost.recording.shelf import shelf
from milters.protocol import packet
from milters.recording.events import Connection, Event, Packet
from milters.recording.language import MILTER
from milters.recording.parser import parse

HELO, REPLY = packet(ord("H"), b"x\0"), packet(ord("c"))
OCTETS = b"".join(packet(ord("B"), bytes([number]) * 60_000) for number in range(40))


class Pages:
    def __init__(self, *, broken: bool = False) -> None:
        self.events: list[Event] = []
        self.closed = asyncio.Event()
        self._broken = broken

    def write(self, events: list[Event]) -> None:
        if self._broken:
            raise OSError(28, "No space left on device")
        self.events += events

    def close(self) -> None:
        self.closed.set()


class Setting:
    """An MTA's end and the daemon's, over TCP, with the proxy between them."""

    def __init__(self, open_book: Callable[[], Book] | None = None) -> None:
        self.pages = Pages()
        self.complaints: list[str] = []
        self._open_book = open_book or (lambda: self.pages)
        self._accepted: asyncio.Future[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = (
            asyncio.get_running_loop().create_future()
        )

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._accepted.set_result((reader, writer))

    async def __aenter__(self) -> Setting:
        self._daemon = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        address = SocketAddress("inet", "127.0.0.1", self._daemon.sockets[0].getsockname()[1])
        self.proxy = Proxy(address, self._open_book, self.complaints.append, MILTER)
        self._server = await asyncio.start_server(self.proxy.serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.from_proxy, self.to_proxy = await asyncio.open_connection("127.0.0.1", port)
        self.daemon_reads, self.daemon_writes = await self._accepted
        return self

    async def __aexit__(self, *_: object) -> None:
        self.to_proxy.close()
        self.daemon_writes.close()
        self._server.close()
        self._daemon.close()
        await self.proxy.stop()


def run(work: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(10):
            await work()

    asyncio.run(limited())


def reset(writer: asyncio.StreamWriter) -> None:
    sock: socket.socket = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def test_every_octet_passes_in_both_directions() -> None:
    async def work() -> None:
        async with Setting() as setting:
            setting.to_proxy.write(OCTETS)
            assert await setting.daemon_reads.readexactly(len(OCTETS)) == OCTETS
            setting.daemon_writes.write(REPLY)
            assert await setting.from_proxy.readexactly(len(REPLY)) == REPLY
            setting.to_proxy.close()
            assert await setting.daemon_reads.read() == b""
            setting.daemon_writes.close()
            await setting.pages.closed.wait()
        packets = [event for event in setting.pages.events if isinstance(event, Packet)]
        assert b"".join(packet(each.command, each.payload) for each in packets) == OCTETS + REPLY
        assert setting.pages.events[-1] == Left(Side.MTA, End.CLOSE)

    run(work)


def test_an_answer_still_comes_after_the_mta_has_said_all() -> None:
    async def work() -> None:
        async with Setting() as setting:
            setting.to_proxy.write(HELO)
            setting.to_proxy.write_eof()
            assert await setting.daemon_reads.read() == HELO
            setting.daemon_writes.write(REPLY)
            assert await setting.from_proxy.readexactly(len(REPLY)) == REPLY

    run(work)


@pytest.mark.parametrize("end", End)
def test_the_daemon_sees_how_the_mta_left(end: End) -> None:
    async def work() -> None:
        async with Setting() as setting:
            setting.to_proxy.write(HELO)
            await setting.daemon_reads.readexactly(len(HELO))
            if end is End.RESET:
                reset(setting.to_proxy)
                with pytest.raises(ConnectionResetError):
                    await setting.daemon_reads.read()
            else:
                setting.to_proxy.close()
                assert await setting.daemon_reads.read() == b""
                setting.daemon_writes.close()
            await setting.pages.closed.wait()
        assert setting.pages.events[-1] == Left(Side.MTA, end)

    run(work)


@pytest.mark.parametrize("end", End)
def test_the_mta_sees_how_the_daemon_left(end: End) -> None:
    async def work() -> None:
        async with Setting() as setting:
            if end is End.RESET:
                reset(setting.daemon_writes)
                with pytest.raises(ConnectionResetError):
                    await setting.from_proxy.read()
            else:
                setting.daemon_writes.close()
                assert await setting.from_proxy.read() == b""
            await setting.pages.closed.wait()
        assert setting.pages.events == [Left(Side.DAEMON, end)]

    run(work)


def test_stopping_writes_down_what_was_said() -> None:
    async def work() -> None:
        async with Setting() as setting:
            setting.to_proxy.write(HELO)
            await setting.daemon_reads.readexactly(len(HELO))
            await setting.proxy.stop()
            assert setting.pages.closed.is_set()
        assert setting.pages.events == [Packet(Side.MTA, ord("H"), b"x\0")]

    run(work)


def test_the_connection_goes_on_where_it_cannot_be_written_down() -> None:
    async def work() -> None:
        async with Setting(lambda: Pages(broken=True)) as setting:
            for _ in range(3):
                setting.to_proxy.write(HELO)
                await setting.daemon_reads.readexactly(len(HELO))
                setting.daemon_writes.write(REPLY)
                assert await setting.from_proxy.readexactly(len(REPLY)) == REPLY
        assert len(setting.complaints) == 1
        assert "No space left" in setting.complaints[0]

    run(work)


def test_a_daemon_that_is_not_there() -> None:
    async def work() -> None:
        complaints: list[str] = []
        proxy = Proxy(SocketAddress("unix", path="/nonexistent/socket"), Pages, complaints.append, MILTER)
        server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        assert await reader.read() == b""
        writer.close()
        server.close()
        assert complaints == ["the daemon cannot be reached: No such file or directory"]

    run(work)


EVENTS: list[Event] = [Packet(Side.MTA, ord("H"), b"x\0"), Packet(Side.DAEMON, ord("c"))]


def test_a_directory_has_a_file_for_each_connection(tmp_path: Path) -> None:
    for expected in ("0001.session", "0002.session"):
        rack = shelf(f"{tmp_path}/new/", "What for.", MILTER)
        book = rack.open_book()
        book.write(EVENTS)
        book.write([Left(Side.MTA, End.CLOSE)])
        book.close()
        file = tmp_path / "new" / expected
        recording = parse(file.read_text())
        assert recording.comment == "What for."
        assert recording.connections == [Connection([*EVENTS, Left(Side.MTA, End.CLOSE)])]
        assert file.stat().st_mode & 0o777 == 0o600


def test_a_file_has_connections_in_the_order_in_which_they_end(tmp_path: Path) -> None:
    rack = shelf(str(tmp_path / "all.session"), "", MILTER)
    first, second = rack.open_book(), rack.open_book()
    first.write(EVENTS[:1])
    second.write(EVENTS[1:])
    second.close()
    first.close()
    rack.close()

    assert rack.count == 2
    connections = parse((tmp_path / "all.session").read_text()).connections
    assert connections == [Connection(EVENTS[1:]), Connection(EVENTS[:1])]


def test_a_file_that_exists_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")

    with pytest.raises(FileExistsError):
        shelf(str(tmp_path / "mine"), "", MILTER)
