"""Answers of DNS servers (``gatepost.dns.wire``, ``response``, ``plain``).

- MalformedAnswerError or AliasError, one printable line, and nothing else.
- No more records than are read, each of the type that was asked for, names without control characters; a TTL that
  the DNS can carry; no more aliases than are followed.
- There are records with FOUND and with nothing else.
- What the reader of plain answers reads at all (``gatepost.dns.plain``), it reads as dnspython does.
- Where dnspython follows the CNAMEs of a plain answer by itself, it comes to the same name and as many records.
"""

from __future__ import annotations

from ipaddress import ip_address

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rdatatype
import dns.rrset

from gatepost.dns.answer import Outcome
from gatepost.dns.plain import read_plain
from gatepost.dns.response import MAX_ALIASES, RECORD_TYPES, AliasError, Response, read
from gatepost.dns.wire import MAX_RECORDS, MalformedAnswerError, Question, decode, is_truncated
from tests.fuzz.tape import Tape
from tests.fuzz.told import check_told

_NAME = dns.name.from_text("a.example.")
_IDENT = 0x1234


def _seed(rdtype: str, *answers: str, authority: tuple[str, ...] = (), flags: str = "QR RD RA") -> bytes:
    """What comes behind id and flags, in front of it the type that is asked for and the flags."""
    query = dns.message.make_query(_NAME, rdtype, use_edns=True)
    response = dns.message.make_response(query, recursion_available=True)
    response.flags = dns.flags.from_text(flags)
    for section, lines in ((response.answer, answers), (response.authority, authority)):
        for line in lines:
            name, *rest = line.split(" ", 3)
            section.append(dns.rrset.from_text(name, int(rest[0]), "IN", *rest[1].split(" ", 1), rest[2]))
    wire = response.to_wire()
    return bytes([RECORD_TYPES.index(rdtype)]) + wire[2:]


_SOA = "example. 300 SOA ns.example. h.example. 1 3600 600 86400 60"
SEEDS = (
    _seed("TXT", 'a.example. 300 TXT "v=spf1 -all" "more"'),
    _seed("A", "a.example. 300 CNAME b.example.", "b.example. 60 CNAME c.example.", "c.example. 0 A 192.0.2.1"),
    _seed("AAAA", "a.example. 4294967295 AAAA 2001:db8::1"),
    _seed("MX", "a.example. 300 MX 10 mx.example.", "a.example. 300 MX 0 ."),
    _seed("PTR", "a.example. 300 PTR b.example."),
    _seed("TXT", "a.example. 9 CNAME n0.example.", *(f"n{n}.example. 9 CNAME n{n + 1}.example." for n in range(12))),
    _seed("TXT", authority=(_SOA,)),
    _seed("TXT", "a.example. 300 CNAME a.example."),
    _seed("TXT", authority=("example. 300 NS ns.example.",)),
    b"\0\x81\x80\0\1\0\1\0\0\0\0\1a\7example\0\0\x10\0\1\xc0\x0c\0\x10\0\1\0\0\1,\xff\xff\5",
)  # fmt: skip
WORDS = (
    b"\xc0\x0c", b"\xc0\x00", b"\x01a\x07example\0", b"\0\x05\0\x01", b"\0\x10\0\x01", b"\xff\xff", b"\x81\x83",
    b"\x81\x80\0\x01\0\x01\0\0\0\0", b"\x80\0\0\0", b"\0\x06\0\x01",
)  # fmt: skip


def check(data: bytes) -> None:
    tape = Tape(data)
    rdtype = dns.rdatatype.from_text(RECORD_TYPES[tape.number(len(RECORD_TYPES))])
    packet = _IDENT.to_bytes(2) + tape.rest()
    question = Question(_NAME, rdtype)
    if not question.answered_by(_IDENT, packet):
        return
    is_truncated(packet)
    plain = read_plain(packet, question)
    try:
        message = decode(packet)
        response = read(message, _NAME, rdtype)
    except (MalformedAnswerError, AliasError) as error:
        check_told(error)
        assert plain is None
        return
    assert plain in (None, response)
    _check_response(response, rdtype)
    _as_others_see_it(packet, response, rdtype)


def _check_response(response: Response, rdtype: dns.rdatatype.RdataType) -> None:
    assert 0 <= response.ttl <= 0x7FFFFFFF
    assert len(response.aliases) <= MAX_ALIASES
    assert response.detail.isprintable()
    assert bool(response.records) == (response.outcome is Outcome.FOUND)
    assert len(response.records) <= MAX_RECORDS
    assert not (response.open_ended and (response.records or not response.aliases))
    for record in response.records:
        match dns.rdatatype.to_text(rdtype):
            case "TXT":
                assert isinstance(record, bytes)
            case "A" | "AAAA":
                ip_address(str(record))
            case "MX":
                assert isinstance(record, tuple)
                preference, host = record
                assert 0 <= preference <= 65535
                assert host.isprintable()
                assert host.isascii()
            case _:
                assert isinstance(record, str)
                assert record.isprintable()
                assert record.isascii()


def _as_others_see_it(packet: bytes, response: Response, rdtype: dns.rdatatype.RdataType) -> None:
    if response.outcome is not Outcome.FOUND:
        return
    theirs = dns.message.from_wire(packet)
    if not isinstance(theirs, dns.message.QueryMessage):
        return
    try:
        chain = theirs.resolve_chaining()
    except (dns.exception.DNSException, AssertionError):
        return
    if chain.answer is None or any(rrset.rdclass != 1 for rrset in theirs.answer):
        return
    end = response.aliases[-1] if response.aliases else _NAME
    # A name with two CNAMEs breaks the rules; they and we may take another one of them.
    if all(rrset.rdtype != dns.rdatatype.CNAME or len(rrset) == 1 for rrset in theirs.answer):
        assert chain.canonical_name == end
        assert len(set(chain.answer)) <= len(response.records)
