"""Plain answers: what is read fast is read as dnspython reads it, whatever the octets."""

from __future__ import annotations

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatepost.dns.answer import Outcome
from gatepost.dns.plain import read_plain
from gatepost.dns.response import RECORD_TYPES, AliasError, Response, read
from gatepost.dns.wire import MalformedAnswerError, Question, decode

NAME = "a.Example.org."
SOA = "example.org. 900 SOA ns.example.org. root.ns.example.org. 1 2 3 4 60"


def packet(rdtype: str, *lines: str, edns: bool = True, flags: str = "QR RD RA", rcode: int = 0) -> bytes:
    """A server's answer; a line that begins with ``!`` goes into the authority section, ``+`` into the additional."""
    query = dns.message.make_query(NAME, rdtype, use_edns=edns, id=0x1D5A)
    response = dns.message.make_response(query, recursion_available=True)
    response.flags = dns.flags.from_text(flags)
    response.set_rcode(dns.rcode.Rcode(rcode))
    sections = {"!": response.authority, "+": response.additional}
    for line in lines:
        owner, ttl, kind, data = line.lstrip("!+").split(" ", 3)
        sections.get(line[0], response.answer).append(dns.rrset.from_text(owner, int(ttl), "IN", kind, data))
    return response.to_wire()


def question(rdtype: str) -> Question:
    return Question(dns.name.from_text(NAME), dns.rdatatype.from_text(rdtype))


def by_dnspython(octets: bytes, asked: Question) -> Response | None:
    try:
        return read(decode(octets), asked.name, asked.rdtype)
    except (MalformedAnswerError, AliasError):
        return None


PLAIN = [
    ("TXT", packet("TXT", f'{NAME} 300 TXT "v=spf1 " "-all"', f'{NAME} 20 TXT "\\200"'), Outcome.FOUND, 20),
    ("TXT", packet("TXT", f'{NAME} 300 TXT ""', edns=False, flags="QR RD RA AD"), Outcome.FOUND, 300),
    ("A", packet("A", f"{NAME} 0 A 192.0.2.1", f"{NAME} 0 A 192.0.2.2"), Outcome.FOUND, 0),
    ("AAAA", packet("AAAA", f"{NAME} 300 AAAA ::ffff:192.0.2.1", f"{NAME} 300 AAAA 1::"), Outcome.FOUND, 300),
    ("MX", packet("MX", f"{NAME} 300 MX 10 Mx.{NAME}", f"{NAME} 300 MX 20 mx.example.com."), Outcome.FOUND, 300),
    ("MX", packet("MX", f"{NAME} 300 MX 0 ."), Outcome.FOUND, 300),
    ("PTR", packet("PTR", f"{NAME} 300 PTR Mail_1.example.net."), Outcome.FOUND, 300),
    ("A", packet("A", f"!{SOA}"), Outcome.NODATA, 60),
    ("A", packet("A", f"!{SOA}", rcode=3), Outcome.NXDOMAIN, 60),
    ("TXT", packet("TXT", f"!. 30 {SOA.split(' ', 2)[2]}", rcode=3), Outcome.NXDOMAIN, 30),
]  # fmt: skip

NOT_PLAIN = [
    ("CNAME", packet("CNAME", f"{NAME} 300 CNAME b.example.")),
    ("A", packet("A", f"{NAME} 300 CNAME b.example.", "b.example. 60 A 192.0.2.1")),
    ("A", packet("A", "b.example. 60 A 192.0.2.1")),
    ("A", packet("A", f"{NAME} 4294967295 A 192.0.2.1")),
    ("A", packet("A", f"{NAME} 300 A 192.0.2.1", "!example.org. 60 NS ns.example.org.")),
    ("A", packet("A", f"{NAME} 300 A 192.0.2.1", "+ns.example.org. 60 A 192.0.2.9")),
    ("A", packet("A", f"{NAME} 300 A 192.0.2.1", rcode=3)),
    ("A", packet("A", f"{NAME} 300 A 192.0.2.1", rcode=2)),
    ("A", packet("A", f"{NAME} 300 A 192.0.2.1") + b"\0"),
    ("A", packet("A", f"{NAME} 300 A 192.0.2.1")[:-1]),
    ("A", packet("A")),
    ("A", packet("A", "!org. 60 NS ns.example.org.")),
    ("A", packet("A", f"!{SOA.replace('example.org.', 'ample.org.', 1)}")),
    ("A", packet("A", f"!{SOA.replace(' 60', ' 4294967295')}")),
    ("A", packet("A", rcode=16)),
    ("PTR", packet("PTR", f"{NAME} 300 PTR b\\010c.org.")),
    ("MX", packet("MX", f"{NAME} 300 MX 10 b\\.c.org.")),
]  # fmt: skip


@pytest.mark.parametrize(("rdtype", "octets", "outcome", "ttl"), PLAIN)
def test_plain(rdtype: str, octets: bytes, outcome: Outcome, ttl: int) -> None:
    asked = question(rdtype)
    assert asked.answered_by(int.from_bytes(octets[:2]), octets)
    got = read_plain(octets, asked)
    assert got == by_dnspython(octets, asked)
    assert got is not None
    assert (got.outcome, got.ttl) == (outcome, ttl)


@pytest.mark.parametrize(("rdtype", "octets"), NOT_PLAIN)
def test_not_plain(rdtype: str, octets: bytes) -> None:
    assert read_plain(octets, question(rdtype)) is None


ANSWERS = [(rdtype, octets) for rdtype, octets, *_ in PLAIN] + NOT_PLAIN
INTERESTING = st.sampled_from([0, 1, 5, 6, 12, 13, 15, 16, 28, 41, 63, 64, 128, 191, 192, 255])


@settings(max_examples=600, deadline=None)
@given(st.data())
def test_never_otherwise_than_dnspython(data: st.DataObject) -> None:
    rdtype, octets = data.draw(st.sampled_from(ANSWERS))
    asked = question(data.draw(st.sampled_from(RECORD_TYPES)) if data.draw(st.booleans()) else rdtype)
    head = 12 + len(asked.wire)
    changed = bytearray(octets)
    for _ in range(data.draw(st.integers(0, 3))):
        # Behind the question, which has been compared; the counts may be anything.
        at = data.draw(st.integers(head, len(changed) - 1) | st.sampled_from([3, 7, 9, 11]))
        changed[at] = data.draw(INTERESTING | st.integers(0, 255))
    cut = data.draw(st.just(0) | st.integers(0, len(changed) - head))
    final = bytes(changed[: len(changed) - cut])
    final = final[:12] + asked.wire + final[head:]
    got = read_plain(final, asked)
    assert got is None or got == by_dnspython(final, asked)
