"""Answers that no honest name server gives, as packets, by what is wrong with them."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable

import dns.flags
import dns.message
import dns.rdatatype
import dns.rrset

from tests.harness.dns_server import DnsServer

DOMAIN = "bad.example"
TEXT = "v=spf1 -all"

Maker = Callable[[bytes], list[bytes]]


def _answer(query: bytes, *texts: bytes, ttl: int = 300, owner: str = "", section: str = "answer") -> bytes:
    """A sound answer to *query*: TXT records in *section*."""
    message = dns.message.from_wire(query)
    response = dns.message.make_response(message, recursion_available=True)
    name = message.question[0].name if not owner else dns.name.from_text(owner)
    for text in texts or (TEXT.encode(),):
        wire = b"".join(
            bytes([len(text[at : at + 255])]) + text[at : at + 255] for at in range(0, len(text), 255)
        )
        rdata = dns.rdata.from_wire("IN", "TXT", wire, 0, len(wire))
        getattr(response, section).append(dns.rrset.from_rdata(name, ttl, rdata))
    return response.to_wire(max_size=65535)


def _question(query: bytes) -> bytes:
    """The question of *query*, without what follows it."""
    end = query.index(b"\0", 12) + 5
    return query[12:end]


def _raw(query: bytes, counts: tuple[int, int, int], rest: bytes, flags: int = 0x8180) -> bytes:
    """A header of those *counts* (answer, authority, additional), the question, and *rest*."""
    return query[:2] + struct.pack("!5H", flags, 1, *counts) + _question(query) + rest


_TTL = b"\0\0\x01\x2c"
_RECORD = b"\xc0\x0c\0\x10\0\x01" + _TTL + b"\0\x0c\x0bv=spf1 -all"


def _cname(target: bytes) -> bytes:
    return b"\xc0\x0c\0\x05\0\x01" + _TTL + len(target).to_bytes(2) + target


def _chain(query: bytes, length: int) -> bytes:
    """CNAMEs, each from where the one before leads."""
    records, owner = b"", b"\xc0\x0c"
    for number in range(length):
        target = bytes([4]) + b"n%03d" % number + b"\3bad\7example\0"
        records += owner + b"\0\x05\0\x01" + _TTL + len(target).to_bytes(2) + target
        owner = target
    return _raw(query, (length, 0, 0), records)


def _altered(query: bytes, at: int) -> bytes:
    """A sound answer but for one octet."""
    answer = bytearray(_answer(query))
    answer[at] ^= 1
    return bytes(answer)


def _records(query: bytes, count: int) -> bytes:
    """So many TXT records of one octet each."""
    return _raw(query, (count, 0, 0), b"\xc0\x0c\0\x10\0\x01\0\0\x01\x2c\0\x02\x01a" * count)


def _pointer(offset: int) -> bytes:
    return (0xC000 | offset).to_bytes(2)


def _end(query: bytes) -> int:
    """Where the first record begins."""
    return 12 + len(_question(query))


_NO_DATA = b"\0\x10\0\x01\0\0\0\0\0\0"
_LONG = b"v=spf1 " + b"a" * 60_000

MAKERS: dict[str, Maker] = {
    "wrong-id": lambda query: [_altered(query, 0)],
    "wrong-question": lambda query: [_altered(query, 13)],
    "the-query": lambda query: [query],
    "too-short": lambda query: [b"", query[:2], query[:11]],
    "bare-header": lambda query: [query[:2] + b"\x81\x80" + bytes(8)],
    "other-name": lambda query: [_answer(query, owner="other.example.")],
    "in-authority": lambda query: [_answer(query, section="authority")],
    "in-additional": lambda query: [_answer(query, section="additional")],
    "ttl-0": lambda query: [_answer(query, ttl=0)],
    "ttl-2-31": lambda query: [_raw(query, (1, 0, 0), _RECORD.replace(_TTL, b"\x80\0\0\0"))],
    "ttl-2-32": lambda query: [_raw(query, (1, 0, 0), _RECORD.replace(_TTL, b"\xff\xff\xff\xff"))],
    "cname-to-itself": lambda query: [_raw(query, (1, 0, 0), _cname(b"\xc0\x0c"))],
    "cname-chain": lambda query: [_chain(query, 50)],
    "cname-to-the-next": lambda query: [_raw(query, (1, 0, 0), _cname(b"\1x\xc0\x0c"))],
    "pointer-to-itself": lambda query: [_raw(query, (1, 0, 0), _pointer(_end(query)) + _NO_DATA)],
    "pointer-ahead": lambda query: [_raw(query, (1, 0, 0), b"\xff\xff" + _NO_DATA)],
    "pointers-in-a-ring": lambda query: [
        _raw(query, (2, 0, 0), _pointer(_end(query) + 12) + _NO_DATA + _pointer(_end(query)) + _NO_DATA)
    ],
    "fewer-records-than-said": lambda query: [_raw(query, (900, 0, 0), _RECORD)],
    "as-many-as-can-be-said": lambda query: [_raw(query, (65535, 65535, 65535), _RECORD)],
    "more-records-than-said": lambda query: [_raw(query, (1, 0, 0), _RECORD * 3)],
    "record-beyond-the-packet": lambda query: [
        _raw(query, (1, 0, 0), _RECORD.replace(b"\0\x0c\x0b", b"\xff\xff\x0b"))
    ],
    "string-beyond-the-record": lambda query: [
        _raw(query, (1, 0, 0), _RECORD.replace(b"\0\x0c\x0b", b"\0\x0c\xff"))
    ],
    "no-strings": lambda query: [_raw(query, (1, 0, 0), b"\xc0\x0c\0\x10\0\x01" + _TTL + b"\0\0")],
    "another-class": lambda query: [
        _raw(query, (1, 0, 0), _RECORD.replace(b"\0\x10\0\x01", b"\0\x10\0\x03"))
    ],
    "odd-rcode": lambda query: [_raw(query, (0, 0, 0), b"", 0x818F)],
    "records-and-nxdomain": lambda query: [_raw(query, (1, 0, 0), _RECORD, 0x8183)],
    "soa-that-is-none": lambda query: [_raw(query, (0, 1, 0), b"\xc0\x0c\0\x06\0\x01" + _TTL + b"\0\0")],
    "60k-record": lambda query: [_answer(query, _LONG)],
    "60k-record-over-tcp": lambda query: [_answer(query, _LONG)],
    "900-records": lambda query: [_records(query, 900)],
    "4000-records": lambda query: [_records(query, 4000)],
    "4000-records-over-tcp": lambda query: [_records(query, 4000)],
    "300-packets": lambda query: [_altered(query, 0)] * 300,
}


def install(server: DnsServer) -> None:
    """Have *server* answer so for names that end in ``WHAT.bad.example``."""

    def respond(query: bytes, tcp: bool) -> list[bytes] | None:
        seen = server.queries[-1]
        what = seen.name.removesuffix("." + DOMAIN).rpartition(".")[2]
        if not seen.name.endswith(DOMAIN) or seen.rdtype != "TXT":
            return None
        if what == "wrong-source":
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
                other.sendto(_answer(query), (server.host, seen.source_port))
            return []
        maker = MAKERS.get(what)
        if maker is None:
            return None
        if not tcp and what.endswith("-over-tcp"):
            return [_raw(query, (0, 0, 0), b"", 0x8380)]
        return maker(query)

    server.responder = respond
