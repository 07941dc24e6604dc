"""One question to one server, over UDP or TCP, on the event loop.

Every question has a socket of its own, connected to the server: the kernel
then draws a fresh source port and passes on what comes from that server alone
(RFC 5452 §9.2), and an ICMP refusal is told at once.
"""

from __future__ import annotations

import asyncio
import os
import socket

from gatepost.dns.servers import Server
from gatepost.dns.wire import LARGEST_PACKET, MalformedAnswerError, Question


async def over_udp(server: Server, question: Question, seconds: float, *, edns: bool = True) -> bytes:
    """Give the first packet that answers *question*; others are ignored.

    Raises TimeoutError when none came in *seconds*, OSError when the server
    cannot be reached.
    """
    loop = asyncio.get_running_loop()
    ident = _fresh_id()
    answered: asyncio.Future[bytes] = loop.create_future()
    with socket.socket(server.family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:

        def on_readable() -> None:
            try:
                packet = sock.recv(LARGEST_PACKET)
            except BlockingIOError:
                return
            except OSError as error:
                if not answered.done():
                    answered.set_exception(error)
                return
            if not answered.done() and question.answered_by(ident, packet):
                answered.set_result(packet)

        def on_timeout() -> None:
            if not answered.done():
                answered.set_exception(TimeoutError())

        sock.connect(server.address)
        sock.send(question.packet(ident, edns=edns))
        loop.add_reader(sock, on_readable)
        timer = loop.call_later(seconds, on_timeout)
        try:
            return await answered
        finally:
            timer.cancel()
            loop.remove_reader(sock)


async def over_tcp(server: Server, question: Question, seconds: float, *, edns: bool = True) -> bytes:
    """Give the answer to *question*, of up to 64 kB.

    Raises TimeoutError when it was not there in *seconds*, OSError when the
    server cannot be reached, and MalformedAnswerError for the answer to something
    else, or for half of one.
    """
    ident = _fresh_id()
    query = question.packet(ident, edns=edns)
    async with asyncio.timeout(seconds):
        reader, writer = await asyncio.open_connection(server.host, server.port)
        try:
            writer.write(len(query).to_bytes(2) + query)
            length = int.from_bytes(await reader.readexactly(2))
            packet = await reader.readexactly(length)
        except asyncio.IncompleteReadError:
            raise MalformedAnswerError("the connection ended within the answer") from None
        finally:
            writer.transport.abort()
    if not question.answered_by(ident, packet):
        raise MalformedAnswerError("an answer to another question over TCP")
    return packet


def _fresh_id() -> int:
    return int.from_bytes(os.urandom(2))
