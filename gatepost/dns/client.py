"""A question put to the servers in turn, until one of them answers it or the time is over.

Strategy: two rounds. A try in the second round may take twice as long as one
in the first, and what a try leaves unused goes to those after it. A server
that said nothing is asked again, since packets get lost and since a recursive
server goes on looking meanwhile; one that failed otherwise is not.
"""

from __future__ import annotations

import asyncio

import dns.rcode

from gatepost.dns.answer import Outcome
from gatepost.dns.plain import read_plain
from gatepost.dns.response import AliasError, Response, read
from gatepost.dns.servers import Server, Servers
from gatepost.dns.transport import over_tcp, over_udp
from gatepost.dns.wire import MalformedAnswerError, Question, decode, is_truncated

_ROUNDS = (1, 2)
# A server that does not know EDNS (RFC 6891 §7).
_NO_EDNS = (dns.rcode.FORMERR, dns.rcode.NOTIMP)


class Client:
    """Asks *servers*. It belongs to one event loop."""

    __slots__ = ("_servers",)

    def __init__(self, servers: Servers) -> None:
        self._servers = servers

    async def ask(self, question: Question, deadline: float) -> Response:
        """Give the answer to *question*, or SERVFAIL or TIMEOUT with its detail.

        *deadline* is in the loop's time.
        """
        try:
            return await self._ask_in_turn(question, deadline)
        except AliasError as error:
            return Response(Outcome.SERVFAIL, detail=str(error))

    async def _ask_in_turn(self, question: Question, deadline: float) -> Response:
        loop = asyncio.get_running_loop()
        order = self._servers.order()
        tries = [(server, weight) for weight in _ROUNDS for server in order]
        refusal: Response | None = None
        silence = ""
        while tries and (left := deadline - loop.time()) > 0:
            server, weight = tries[0]
            share = left * weight / sum(each for _, each in tries)
            del tries[0]
            try:
                response = await _exchange(server, question, share)
            except TimeoutError:
                self._servers.silent(server)
                silence = f"no answer from {server}"
                continue
            except OSError as error:
                self._servers.silent(server)
                silence = f"{server}: {error.strerror or type(error).__name__}"
            except MalformedAnswerError as error:
                refusal = Response(Outcome.SERVFAIL, detail=f"{server}: {error}")
            else:
                self._servers.answered(server)
                if response.outcome is not Outcome.SERVFAIL:
                    return response
                refusal = Response(Outcome.SERVFAIL, detail=f"{server}: {response.detail}")
            tries = [each for each in tries if each[0] != server]
        return refusal or Response(Outcome.TIMEOUT, detail=silence or "no time left to ask")


async def _exchange(server: Server, question: Question, seconds: float) -> Response:
    """Ask one server once: over TCP where the answer is too long for UDP, without EDNS where it has none.

    Raises what the transports raise, MalformedAnswerError, and AliasError.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    for edns in (True, False):
        packet = await over_udp(server, question, until - loop.time(), edns=edns)
        if is_truncated(packet):
            packet = await over_tcp(server, question, until - loop.time(), edns=edns)
            if is_truncated(packet):
                raise MalformedAnswerError("truncated over TCP too")
        plain = read_plain(packet, question)
        if plain is not None:
            return plain
        message = decode(packet)
        if message.rcode() not in _NO_EDNS:
            break
    return read(message, question.name, question.rdtype)
