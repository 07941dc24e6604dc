"""The packets of RFC 1035 §4: a question as octets, and which packet answers it.

Questions are few octets of one shape, so they are put together here; answers
are read by dnspython, which bounds names and compression pointers.
"""

from __future__ import annotations

import struct

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype

PAYLOAD = 1232
"""Octets of an answer over UDP: what passes any network unfragmented (RFC 9715 §3)."""

LARGEST_PACKET = 65535
"""Octets of the largest packet over TCP (RFC 1035 §4.2.2)."""

MAX_RECORDS = 1000
"""Records of the longest answer that is read: thousands would hold up all other mail for a tenth of a second."""

_HEADER = struct.Struct("!6H")
HEADER_SIZE = _HEADER.size
_RECURSION_AND_AD = int(dns.flags.RD | dns.flags.AD)
_RESPONSE_AND_OPCODE = 0xF800
_RESPONSE = 0x8000
_RCODE = 0x000F
_CLASS_IN = 1
# Root, OPT, payload, extended RCODE, version 0, no flags, no options (RFC 6891 §6.1.2).
_OPT = struct.pack("!BHHBBHH", 0, 41, PAYLOAD, 0, 0, 0, 0)


class MalformedAnswerError(Exception):
    """A packet that answers the question, and cannot be read. The message says why, in one line."""


class Question:
    """One name and record type of class IN, as sent to servers. ``wire`` is it as octets, in lower case."""

    __slots__ = ("name", "rdtype", "wire")

    def __init__(self, name: dns.name.Name, rdtype: dns.rdatatype.RdataType) -> None:
        self.name = name
        self.rdtype = rdtype
        self.wire = name.to_digestable() + struct.pack("!HH", rdtype, _CLASS_IN)

    def packet(self, ident: int, *, edns: bool = True) -> bytes:
        """The query with the id *ident*.

        The AD bit asks for the AD bit of the answer (RFC 6840 §5.7) without
        DNSSEC's records, which the DO bit would bring along.
        """
        header = _HEADER.pack(ident, _RECURSION_AND_AD, 1, 0, 0, 1 if edns else 0)
        return header + self.wire + _OPT if edns else header + self.wire

    def answered_by(self, ident: int, packet: bytes) -> bool:
        """Whether *packet* is a response to this very question under *ident* (RFC 5452 §9.1).

        A failure may come without the question: servers too old for EDNS send
        the bare header back (RFC 6891 §7).
        """
        if len(packet) < _HEADER.size:
            return False
        got, flags, questions, *_ = _HEADER.unpack_from(packet)
        if got != ident or flags & _RESPONSE_AND_OPCODE != _RESPONSE:
            return False
        if questions == 0:
            return flags & _RCODE not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN)
        # Servers may answer in other case. Length octets and type codes lie below the letters.
        end = _HEADER.size + len(self.wire)
        return questions == 1 and packet[_HEADER.size : end].lower() == self.wire


def is_truncated(packet: bytes) -> bool:
    """Whether the TC bit is set, so that the answer has to be fetched over TCP (RFC 2181 §9)."""
    return bool(packet[2] & 0x02)


def decode(packet: bytes) -> dns.message.Message:
    """Read a packet that ``answered_by`` let through; raises :class:`MalformedAnswerError`."""
    _, _, _, *counts = _HEADER.unpack_from(packet)
    if sum(counts) > MAX_RECORDS:
        raise MalformedAnswerError(f"more than {MAX_RECORDS} records")
    try:
        # Not as sets: two equal TXT records are still two (RFC 9989 §4.10, RFC 7208 §4.5).
        return dns.message.from_wire(packet, one_rr_per_rrset=True)
    except Exception as error:  # a stranger's octets: whatever the reader trips over is their fault
        raise MalformedAnswerError(f"malformed answer ({type(error).__name__})") from error
