"""Reads the plain answers, which nearly all are, a good deal faster than dnspython does.

Plain is: records of the type asked for under the very name asked for, or none
and the SOA that says so (RFC 2308 §2); beside them an empty OPT record at most.
Whatever is otherwise in the least (CNAMEs, other sections in use, a name with
unusual octets, an error) is left to dnspython, and what is read here is read
as dnspython reads it.
"""

from __future__ import annotations

import re
import socket
import struct
from collections.abc import Callable
from typing import Final

import dns.ipv6
import dns.rdatatype

from gatepost.dns.answer import Outcome
from gatepost.dns.response import LONGEST_TTL, Response
from gatepost.dns.wire import HEADER_SIZE, MAX_RECORDS, Question

_COUNTS: Final = struct.Struct("!2x5H")
# A record whose owner is a pointer (RFC 1035 §4.1.4), and one whose owner has been read.
_RECORD: Final = struct.Struct("!HHHIH")
_REST: Final = struct.Struct("!HHIH")
_OPT: Final = struct.Struct("!BHHIH")
_SOA_NUMBERS: Final = struct.Struct("!5I")
_NAME_ASKED: Final = 0xC000 | HEADER_SIZE
_CLASS_IN: Final = 1
_RCODE: Final = 0x000F
_NXDOMAIN: Final = 3
_AUTHENTIC: Final = 0x0020
_MOST_POINTERS: Final = 4
_LONGEST_NAME: Final = 255
_WORD: Final = re.compile(rb"[A-Za-z0-9_-]+").fullmatch


class _NotPlainError(Exception):
    """This is for dnspython to read."""


def read_plain(packet: bytes, question: Question) -> Response | None:
    """Read a packet that answers *question*; None for one that is not plain. Raises nothing."""
    value = _VALUES.get(question.rdtype)
    try:
        return None if value is None else _read(packet, question, value)
    except (_NotPlainError, struct.error, IndexError):
        return None


def _read(packet: bytes, question: Question, value: Callable[[bytes, int, int], object]) -> Response:
    flags, questions, answers, authorities, others = _COUNTS.unpack_from(packet)
    rcode = flags & _RCODE
    if rcode not in (0, _NXDOMAIN) or questions != 1 or answers + authorities + others > MAX_RECORDS:
        raise _NotPlainError
    position = HEADER_SIZE + len(question.wire)
    records, ttl = [], LONGEST_TTL
    for _ in range(answers):
        owner, rdtype, rdclass, its_ttl, length = _RECORD.unpack_from(packet, position)
        if owner != _NAME_ASKED or rdtype != question.rdtype or rdclass != _CLASS_IN or its_ttl > LONGEST_TTL:
            raise _NotPlainError
        position += _RECORD.size
        end = position + length
        if end > len(packet):
            raise _NotPlainError
        records.append(value(packet, position, end))
        ttl = min(ttl, its_ttl)
        position = end
    if records:
        if rcode or authorities:
            raise _NotPlainError
        outcome = Outcome.FOUND
    else:
        if authorities != 1:
            raise _NotPlainError
        ttl, position = _negative_ttl(packet, position, question)
        outcome = Outcome.NXDOMAIN if rcode else Outcome.NODATA
    if others:
        # The root as its owner; no extended RCODE, version 0 (RFC 6891 §6.1.3), no options.
        owner, rdtype, _, extended, length = _OPT.unpack_from(packet, position)
        if others > 1 or owner or rdtype != dns.rdatatype.OPT or extended >> 16 or length:
            raise _NotPlainError
        position += _OPT.size
    if position != len(packet):
        raise _NotPlainError
    return Response(outcome, tuple(records), ttl, bool(flags & _AUTHENTIC))


def _negative_ttl(packet: bytes, position: int, question: Question) -> tuple[int, int]:
    """The TTL that the SOA record at *position* gives (RFC 2308 §5), and where the record ends."""
    labels, position = _labels(packet, position, len(packet))
    owner = b"".join([bytes((len(label),)) + label for label in labels]).lower() + b"\0"
    name = question.wire[:-4]
    below = len(name) - len(owner)
    if not (name.endswith(owner) and (below == 0 or below in _label_starts(name))):
        raise _NotPlainError
    rdtype, rdclass, ttl, length = _REST.unpack_from(packet, position)
    position += _REST.size
    end = position + length
    if rdtype != dns.rdatatype.SOA or rdclass != _CLASS_IN or end > len(packet):
        raise _NotPlainError
    for _ in range(2):  # MNAME, RNAME
        _, position = _labels(packet, position, end)
    _, *times = _SOA_NUMBERS.unpack_from(packet, position)
    if position + _SOA_NUMBERS.size != end or max(ttl, *times) > LONGEST_TTL:
        raise _NotPlainError
    return min(ttl, times[-1]), end


def _label_starts(name: bytes) -> list[int]:
    starts, at = [], 0
    while at < len(name):
        starts.append(at)
        at += name[at] + 1
    return starts


def _labels(packet: bytes, position: int, end: int) -> tuple[list[bytes], int]:
    """The labels of the name at *position*, which ends before *end*, and where what follows it begins."""
    labels: list[bytes] = []
    after = size = pointers = 0
    start = position
    while True:
        if position >= end:
            raise _NotPlainError
        length = packet[position]
        position += 1
        if length == 0:
            break
        if length < 64:
            if position + length > end:
                raise _NotPlainError
            labels.append(packet[position : position + length])
            size += length + 1
            position += length
        else:
            pointers += 1
            if length < 192 or position >= end or pointers > _MOST_POINTERS:
                raise _NotPlainError
            target = (length & 0x3F) << 8 | packet[position]
            after = after or position + 1
            # Pointers lead backwards, and to something that ends before what they were found in.
            if target >= start:
                raise _NotPlainError
            position, end, start = target, start, target
    if size + 1 > _LONGEST_NAME:
        raise _NotPlainError
    return labels, after or position


def _name(packet: bytes, position: int, end: int) -> str:
    labels, after = _labels(packet, position, end)
    if after != end or not all(map(_WORD, labels)):
        raise _NotPlainError
    return b".".join(labels).decode("ascii")


def _txt(packet: bytes, position: int, end: int) -> bytes:
    parts = []
    while position < end:
        start = position + 1
        position = start + packet[position]
        parts.append(packet[start:position])
    if position != end or not parts:
        raise _NotPlainError
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _a(packet: bytes, position: int, end: int) -> str:
    if end - position != 4:
        raise _NotPlainError
    return socket.inet_ntoa(packet[position:end])


def _aaaa(packet: bytes, position: int, end: int) -> str:
    if end - position != 16:
        raise _NotPlainError
    return dns.ipv6.inet_ntoa(packet[position:end])


def _mx(packet: bytes, position: int, end: int) -> tuple[int, str]:
    if end - position < 3:
        raise _NotPlainError
    return int.from_bytes(packet[position : position + 2]), _name(packet, position + 2, end)


_VALUES: Final[dict[int, Callable[[bytes, int, int], object]]] = {
    dns.rdatatype.TXT: _txt,
    dns.rdatatype.A: _a,
    dns.rdatatype.AAAA: _aaaa,
    dns.rdatatype.MX: _mx,
    dns.rdatatype.PTR: _name,
}
