"""Milter packets out of a stream (``milters.protocol``), and the readers of their payloads.

- However the stream is cut, the same packets come out, and the same fault.
- Packets written again are the octets that were read, as far as they were sound.
- No payload is longer than the limit, and no more than one packet waits for its end.
- Readers raise ProtocolError and nothing else; what they give back is bounded and clean.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from struct import pack

from milters.mfdef import SMFIC_HEADER, SMFIC_MACRO
from milters.protocol import (
    MAX_WORD,
    PacketReader,
    ProtocolError,
    packet,
    read_connect,
    read_header,
    read_helo,
    read_macros,
    read_offer,
    read_path,
)
from tests.fuzz.tape import Tape, cut
from tests.fuzz.told import check_told

_LIMITS = (1, 5, 64, 4096, 65536)


def _seed(limit: int, *packets: tuple[int, bytes], cuts: bytes = b"\0") -> bytes:
    return bytes([limit]) + cuts + b"".join(packet(*each) for each in packets)


SEEDS = (
    _seed(4, (79, pack("!III", 6, 0x1FF, 0x1FFFFF)), (67, b"mx.example.org\0004\x9c\x40192.0.2.10\0")),
    _seed(4, (67, b"mx\0006\0\x19IPv6:2001:db8::1\0"), (67, b"localhost\0L\0\0/run/x\0"), (67, b"a\0U")),
    _seed(3, (72, b"mx.example.org\0"), (77, b"<a@example.nl>\0SIZE=10\0"), cuts=b"\2\x10\0\x80\0"),
    _seed(3, (76, b"Subject\0 a\n\tword\0"), (68, b"Ci\0004ABC\0{auth_authen}\0\0"), (66, b"Hello.\r\n")),
    _seed(1, (66, b"too long for this"), (69, b"")),
    b"\4\0\0\0\0\0B",
    b"\4\0\xff\xff\xff\xffB",
)
WORDS = (b"\0\0\0\1", b"\0\0\0\x20", b"unknown\0", b"IPv6:", b"{i}\0", b"\0\0\0\0", b"<>\0")

_READERS: dict[int, Callable[[bytes], object]] = {
    79: read_offer, 67: read_connect, 72: read_helo, 77: read_path, 82: read_path,
}  # fmt: skip


def check(data: bytes) -> None:
    tape = Tape(data)
    limit = _LIMITS[tape.number(len(_LIMITS))]
    places = tape.cuts()
    stream = tape.rest()
    whole = PacketReader(limit)
    packets = whole.feed(stream)
    cutting = PacketReader(limit)
    again = []
    for piece in cut(stream, places):
        again += cutting.feed(piece)
        assert len(cutting._partial) <= limit + 4
    assert again == packets
    assert str(cutting.fault) == str(whole.fault)
    assert whole.fault is not None or cutting.partial == whole.partial
    read = b"".join(packet(*each) for each in packets)
    assert stream.startswith(read)
    if whole.fault is None:
        assert bytes(whole._partial) == stream[len(read) :]
    for command, payload in packets:
        assert len(payload) < limit
        _read(command, payload)


def _read(command: int, payload: bytes) -> None:
    try:
        if command == SMFIC_HEADER:
            name, value = read_header(payload)
            assert name + b"\0" + value + b"\0" == payload
            assert name
        elif command == SMFIC_MACRO:
            for name_, text in read_macros(payload[1:]).items():
                assert "\0" not in name_ + text
                assert len(name_) + len(text) < len(payload)
        elif command == 67:
            host, address = read_connect(payload)
            assert len(host) <= MAX_WORD
            if address:
                ip_address(address)
        elif reader := _READERS.get(command):
            found = reader(payload)
            assert not isinstance(found, bytes) or (len(found) <= MAX_WORD and b"\0" not in found)
    except ProtocolError as error:
        check_told(error)
