"""A DNS server that does as it is told, on a free loopback port, over UDP and TCP.

The zone is a mapping of names to lists, as in gatepost's zone files, or the
path of such a file::

    with DnsServer({"example.org": [{"TXT": "v=spf1 -all"}, {"TTL": 5}]}) as server:
        ...  # ask server.host, server.port

Beside records (TXT, A, AAAA, MX, PTR, CNAME) a list may hold

    SERVFAIL REFUSED FORMERR NOTIMP   that code instead of an answer
    NXDOMAIN NODATA                   with an SOA
    TIMEOUT       says nothing
    HELD          says nothing over UDP until ``release`` is called
    TRUNCATE      TC over UDP, the whole answer over TCP
    TRUNCATE_TCP  TC over TCP too
    CUT_TCP       half an answer over TCP
    CLOSE_TCP     no answer over TCP, but the end of the connection
    SILENT_TCP    nothing over TCP
    TRICKLE_TCP   an octet at a time over TCP, ten a second
    WRONG_ID WRONG_QUESTION   first an answer with that wrong, then the right one
    GARBAGE       the header and question of an answer, and rubbish after them
    NOISE         a packet of rubbish, nothing else
    NO_EDNS       FORMERR to queries with EDNS
    BARE_FORMERR  the same, as a header alone
    AD            the answer is authentic
    NO_SOA        negative answers come without an SOA
    REFERRAL      names other servers instead of answering
    {TTL: seconds}, {DELAY: seconds}, {SOA: [ttl, minimum]}

The name ``*`` stands for all that are not in the zone, and ``*.example.org``
for those one label below. CNAMEs are followed within the zone as recursive
servers do it, unless *chase* is false.

Run as a program it serves a zone file until it is interrupted::

    python -m tests.harness.dns_server ZONE.yaml [PORT]
"""

from __future__ import annotations

import asyncio
import math
import socket
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, cast

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import yaml

from tests.harness.lasting import Startable
from tests.harness.waiting import PATIENCE

Records = Sequence[str | Mapping[str, Any]]
ZoneData = Mapping[str, Records]
Responder = Callable[[bytes, bool], list[bytes] | None]
"""Given the query and whether it came over TCP: the packets to send, or None for the usual."""

DEFAULT_TTL = 300
UDP_WITHOUT_EDNS = 512
HELD = math.inf
"""The seconds after which a held answer is sent."""
_CODES = {"SERVFAIL", "REFUSED", "FORMERR", "NOTIMP"}
_MAX_CHAIN = 16


@dataclass(frozen=True, slots=True)
class Seen:
    """One query that came in."""

    name: str
    rdtype: str
    tcp: bool
    edns: bool
    payload: int
    flags: int
    ident: int
    source_port: int


class _Node:
    """What the zone has for one name."""

    def __init__(self, records: Records) -> None:
        self.words = {item for item in records if isinstance(item, str)}
        self.ttl = DEFAULT_TTL
        self.delay = 0.0
        self.soa = (DEFAULT_TTL, 60)
        self.values: list[tuple[str, Any]] = []
        for item in records:
            for key, value in item.items() if isinstance(item, Mapping) else ():
                match key:
                    case "TTL":
                        self.ttl = int(value)
                    case "DELAY":
                        self.delay = float(value)
                    case "SOA":
                        self.soa = (int(value[0]), int(value[1]))
                    case _:
                        self.values.append((key, value))

    def rrsets(self, name: dns.name.Name, rdtype: str) -> list[dns.rrset.RRset]:
        """Its records of a type, a set each: sets with several are sent in random order."""
        return [
            dns.rrset.from_rdata(name, self.ttl, _rdata(rdtype, value))
            for key, value in self.values
            if key == rdtype
        ]


class DnsServer(Startable):
    """Serves *zone* from a thread of its own, between ``start`` and ``stop`` or within a ``with`` block.

    ``zone`` may be assigned at any time. ``queries`` lists what was asked, in
    order. ``responder``, where set, may answer instead of the zone. Without
    *tcp*, connections are refused.
    """

    def __init__(
        self,
        zone: ZoneData | Path | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        chase: bool = True,
        tcp: bool = True,
    ) -> None:
        self.host = host
        self.port = port
        self.chase = chase
        self.tcp = tcp
        self.queries: list[Seen] = []
        self.responder: Responder | None = None
        self._nodes: dict[str, _Node] = {}
        self.zone = zone or {}
        self._held: list[Callable[[], None]] = []
        self._released = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="dns-server", daemon=True)
        self._udp: asyncio.DatagramTransport | None = None
        self._tcp: asyncio.Server | None = None

    @property
    def zone(self) -> ZoneData | Path:
        """The names it knows."""
        return self._zone

    @zone.setter
    def zone(self, zone: ZoneData | Path) -> None:
        self._zone = zone
        data = yaml.safe_load(zone.read_text(encoding="utf-8")) if isinstance(zone, Path) else zone
        self._released = False
        self._nodes = {str(name).lower().removesuffix("."): _Node(items) for name, items in data.items()}

    @property
    def address(self) -> str:
        """ADDRESS:PORT, as ``nameservers:`` takes it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def count(self, name: str | None = None) -> int:
        """How many queries came in, for *name* or for all names."""
        return len([each for each in self.queries if name in (None, each.name)])

    def release(self) -> None:
        """Send all answers that are HELD, and hold none back until there is another zone."""
        self._loop.call_soon_threadsafe(self._release)

    def _release(self) -> None:
        self._released = True
        held, self._held = self._held, []
        for send in held:
            send()

    def hold(self, send: Callable[[], None]) -> None:
        """Call *send* when all that is HELD is released."""
        self._held.append(send)

    def start(self) -> Self:
        """Listen; afterwards ``port`` is known."""
        udp, tcp = _bind(self.host, self.port)
        self.port = udp.getsockname()[1]
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(udp, tcp), self._loop).result(PATIENCE)
        return self

    def stop(self) -> None:
        """Close the sockets and end the thread."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(PATIENCE)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()

    async def _listen(self, udp: socket.socket, tcp: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        self._udp, _ = await loop.create_datagram_endpoint(lambda: _Udp(self), sock=udp)
        if self.tcp:
            self._tcp = await asyncio.start_server(self._serve_tcp, sock=tcp)
        else:
            tcp.close()

    async def _close(self) -> None:
        if self._udp is not None:
            self._udp.close()
        if self._tcp is not None:
            self._tcp.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        # Transports close in the next turn of the loop.
        await asyncio.sleep(0)

    async def _serve_tcp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                query = await reader.readexactly(int.from_bytes(await reader.readexactly(2)))
                delay, packets = self.answer(
                    query, tcp=True, source_port=writer.get_extra_info("peername")[1]
                )
                await asyncio.sleep(delay)
                words = self._words(query)
                if "CLOSE_TCP" in words:
                    return
                for packet in () if "SILENT_TCP" in words else packets:
                    if "TRICKLE_TCP" in words:
                        await _trickle(writer, len(packet).to_bytes(2) + packet)
                    cut = len(packet) // 2 if "CUT_TCP" in words else len(packet)
                    writer.write(len(packet).to_bytes(2) + packet[:cut])
                    if cut < len(packet):
                        return
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the client has gone, or the server is stopping
        finally:
            writer.close()

    def _words(self, query: bytes) -> set[str]:
        node = self._node(_plain(dns.message.from_wire(query).question[0].name))
        return node.words if node else set()

    def answer(self, query: bytes, *, tcp: bool, source_port: int = 0) -> tuple[float, list[bytes]]:
        """What to send to *query*: after how many seconds, and which packets."""
        message = dns.message.from_wire(query)
        question = message.question[0]
        name = _plain(question.name)
        rdtype = dns.rdatatype.to_text(question.rdtype)
        edns = message.edns >= 0
        self.queries.append(
            Seen(name, rdtype, tcp, edns, message.payload, int(message.flags), message.id, source_port)
        )
        if self.responder is not None and (packets := self.responder(query, tcp)) is not None:
            return 0.0, packets
        node = self._node(name)
        words = node.words if node else set()
        response = dns.message.make_response(message, recursion_available=True)
        delay = node.delay if node else 0.0
        if "HELD" in words and not tcp and not self._released:
            delay = HELD
        if "TIMEOUT" in words:
            return delay, []
        if "NOISE" in words:
            return delay, [b"\x80rubbish"]
        if "BARE_FORMERR" in words and edns:
            return delay, [query[:2] + b"\x81\x81" + bytes(8)]
        if "NO_EDNS" in words and edns:
            response.set_rcode(dns.rcode.FORMERR)
        elif code := words & _CODES:
            response.set_rcode(dns.rcode.from_text(code.pop()))
        elif "REFERRAL" in words:
            response.flags &= ~dns.flags.RA
            response.authority.append(
                dns.rrset.from_text("org.", 300, "IN", "NS", "a.example.", "b.example.")
            )
        else:
            self._fill(response, question.name, rdtype)
        if "AD" in words:
            response.flags |= dns.flags.AD
        return delay, self._packets(response, words, message.payload if edns else 0, tcp=tcp)

    def _packets(
        self, response: dns.message.Message, words: set[str], payload: int, *, tcp: bool
    ) -> list[bytes]:
        whole = response.to_wire(max_size=65535)
        if "GARBAGE" in words:
            answers = (1).to_bytes(2)
            end = 12 + len(response.question[0].name.to_wire() or b"") + 4
            return [whole[:6] + answers + bytes(4) + whole[12:end] + b"\xff\xc0\xff rubbish"]
        fits = tcp or len(whole) <= max(UDP_WITHOUT_EDNS, payload)
        if (not tcp and "TRUNCATE" in words) or "TRUNCATE_TCP" in words or not fits:
            response.answer.clear()
            response.authority.clear()
            response.flags |= dns.flags.TC
            return [response.to_wire()]
        packets = [whole]
        if "WRONG_ID" in words:
            packets.insert(0, bytes([whole[0] ^ 0xFF]) + whole[1:])
        if "WRONG_QUESTION" in words:
            packets.insert(0, whole[:13] + bytes([whole[13] ^ 1]) + whole[14:])
        return packets

    def _fill(self, response: dns.message.Message, name: dns.name.Name, rdtype: str) -> None:
        """Answer from the zone, along CNAMEs."""
        for _ in range(_MAX_CHAIN):
            node = self._node(_plain(name))
            if node is None or "NXDOMAIN" in node.words:
                # A server that does not chase knows nothing of where a CNAME leads.
                if node is not None or self.chase or not response.answer:
                    response.set_rcode(dns.rcode.NXDOMAIN)
                    _add_soa(response, name, node)
                return
            found = node.rrsets(name, rdtype)
            aliases = [] if found else node.rrsets(name, "CNAME")
            response.answer += found + aliases
            if not aliases:
                if not found:
                    _add_soa(response, name, node)
                return
            if not self.chase:
                return
            target: Any = aliases[0][0]
            name = target.target

    def _node(self, name: str) -> _Node | None:
        below = "*." + name.partition(".")[2]
        return self._nodes.get(name) or self._nodes.get(below) or self._nodes.get("*")


async def _trickle(writer: asyncio.StreamWriter, octets: bytes) -> None:
    for octet in octets:
        writer.write(bytes([octet]))
        await writer.drain()
        await asyncio.sleep(0.1)


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, server: DnsServer) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        delay, packets = self._server.answer(data, tcp=False, source_port=addr[1])
        if delay == HELD:
            self._server.hold(lambda: self._send(packets, addr))
        elif delay:
            asyncio.get_running_loop().call_later(delay, self._send, packets, addr)
        else:
            self._send(packets, addr)

    def _send(self, packets: list[bytes], addr: Any) -> None:
        for packet in packets:
            self._transport.sendto(packet, addr)


def _plain(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower()


def _rdata(rdtype: str, value: Any) -> dns.rdata.Rdata:
    match rdtype:
        case "TXT":
            if isinstance(value, list):
                pieces = [_octets(piece) for piece in value]
            else:
                octets = _octets(value)
                pieces = [octets[at : at + 255] for at in range(0, len(octets), 255)] or [b""]
            wire = b"".join(bytes([len(piece)]) + piece for piece in pieces)
            return dns.rdata.from_wire(dns.rdataclass.IN, dns.rdatatype.TXT, wire, 0, len(wire))
        case "MX":
            text = f"{value[0]} {str(value[1]).removesuffix('.')}."
        case "PTR" | "CNAME":
            text = f"{str(value).removesuffix('.')}."
        case _:
            text = str(value)
    return dns.rdata.from_text(dns.rdataclass.IN, rdtype, text)


def _octets(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def _add_soa(response: dns.message.Message, name: dns.name.Name, node: _Node | None) -> None:
    if node is not None and "NO_SOA" in node.words:
        return
    ttl, minimum = node.soa if node is not None else (DEFAULT_TTL, 60)
    owner = name.parent() if name != dns.name.root else name
    soa = dns.rrset.from_text(
        owner, ttl, "IN", "SOA", f"ns.example. hostmaster.example. 1 3600 600 86400 {minimum}"
    )
    response.authority.append(soa)


def _bind(host: str, port: int) -> tuple[socket.socket, socket.socket]:
    """A UDP and a TCP socket on one port; with *port* 0, on one that is free for both."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for _ in range(100):
        tcp = socket.create_server((host, port), family=family)
        udp = socket.socket(family, socket.SOCK_DGRAM)
        try:
            udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            udp.bind((host, tcp.getsockname()[1]))
            return udp, tcp
        except OSError:
            udp.close()
            tcp.close()
            if port:
                raise
    raise OSError("no port is free for both UDP and TCP")


def main(arguments: Sequence[str]) -> int:
    """Serve a zone file until interrupted; the address is the first line of output."""
    if not 1 <= len(arguments) <= 2:
        sys.stderr.write("usage: python -m tests.harness.dns_server ZONE.yaml [PORT]\n")
        return 2
    with DnsServer(Path(arguments[0]), port=int(arguments[1]) if len(arguments) == 2 else 0) as server:
        sys.stdout.write(server.address + "\n")
        sys.stdout.flush()
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            pass
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
