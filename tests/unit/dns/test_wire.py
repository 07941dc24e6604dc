from __future__ import annotations

import dns.flags
import dns.message
import dns.name
import dns.rdatatype
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatepost.dns import names
from gatepost.dns.response import RECORD_TYPES, AliasError, read
from gatepost.dns.wire import MAX_RECORDS, PAYLOAD, MalformedAnswerError, Question, decode

IDENT = 0x1234
QUESTION = Question(names.parse("Mail.example.org"), dns.rdatatype.TXT)
GOOD = bytes.fromhex("1234 8180 0001 0000 0000 0000") + QUESTION.packet(IDENT, edns=False)[12:]


@pytest.mark.parametrize("rdtype", RECORD_TYPES)
@pytest.mark.parametrize("edns", [True, False])
def test_queries_as_another_reader_sees_them(rdtype: str, edns: bool) -> None:
    question = Question(names.parse("Mail.example.org"), dns.rdatatype.from_text(rdtype))
    message = dns.message.from_wire(question.packet(IDENT, edns=edns))
    assert message.id == IDENT
    assert message.flags == dns.flags.RD | dns.flags.AD
    assert [str(each) for each in message.question] == [f"mail.example.org. IN {rdtype}"]
    assert (message.edns, message.payload, message.ednsflags) == ((0, PAYLOAD, 0) if edns else (-1, 0, 0))


def changed(at: int, octets: bytes) -> bytes:
    return GOOD[:at] + octets + GOOD[at + len(octets) :]


@pytest.mark.parametrize(
    ("packet", "answers"),
    [
        (GOOD, True),
        (GOOD + b"more", True),
        (changed(13, b"mAIL"), True),
        (b"", False),
        (GOOD[:11], False),
        (GOOD[:20], False),
        (changed(0, b"\x12\x35"), False),
        (changed(2, b"\x01"), False),  # a query, not a response
        (changed(2, b"\x91"), False),  # another opcode
        (changed(5, b"\x02"), False),  # two questions
        (changed(13, b"nail"), False),
        (changed(len(GOOD) - 3, b"\x01"), False),  # another type
        (changed(len(GOOD) - 1, b"\x03"), False),  # another class
        (bytes.fromhex("1234 8181 0000 0000 0000 0000"), True),  # FORMERR without the question
        (bytes.fromhex("1234 8180 0000 0000 0000 0000"), False),
        (bytes.fromhex("1234 8183 0000 0000 0000 0000"), False),
    ],
)
def test_which_packets_answer(packet: bytes, answers: bool) -> None:
    assert QUESTION.answered_by(IDENT, packet) is answers


@given(st.binary(max_size=200))
@settings(max_examples=200)
def test_any_octets_are_an_answer_or_not(packet: bytes) -> None:
    QUESTION.answered_by(IDENT, packet)


def record(owner: bytes, rdtype: int, data: bytes) -> bytes:
    return owner + rdtype.to_bytes(2) + b"\x00\x01\x00\x00\x01\x2c" + len(data).to_bytes(2) + data


@pytest.mark.parametrize(("count", "readable"), [(MAX_RECORDS, True), (MAX_RECORDS + 1, False)])
def test_answers_have_so_many_records_and_no_more(count: int, readable: bool) -> None:
    records = b"".join(record(b"\xc0\x0c", 16, b"\x02" + number.to_bytes(2)) for number in range(count))
    packet = GOOD[:6] + count.to_bytes(2) + GOOD[8:] + records
    if readable:
        assert len(read(decode(packet), QUESTION.name, QUESTION.rdtype).records) == count
    else:
        with pytest.raises(MalformedAnswerError, match="records"):
            decode(packet)


octets = st.one_of(
    st.binary(max_size=80),
    st.lists(
        st.builds(
            record,
            st.sampled_from([b"\xc0\x0c", b"\x00", b"\x01a\xc0\x0c", b"\xc0\x40", b"\xff"]),
            st.sampled_from([1, 2, 5, 6, 12, 15, 16, 28, 39, 41, 46, 250, 64, 65]),
            st.one_of(st.binary(max_size=40), st.sampled_from([b"\xc0\x0c", b"\x01a\xc0\x0c", b"\x03abc"])),
        ),
        max_size=5,
    ).map(b"".join),
)


@given(st.lists(st.integers(0, 5), min_size=3, max_size=3), st.integers(0, 255), octets)
@settings(max_examples=400)
def test_any_octets_after_the_question_are_read_or_malformed(
    counts: list[int], flags: int, rest: bytes
) -> None:
    header = b"\x12\x34\x81" + bytes([flags, 0, 1]) + b"".join(count.to_bytes(2) for count in counts)
    packet = header + GOOD[12:] + rest
    assert QUESTION.answered_by(IDENT, packet)
    try:
        response = read(decode(packet), QUESTION.name, QUESTION.rdtype)
    except (MalformedAnswerError, AliasError):
        return
    assert all(isinstance(each, bytes) for each in response.records)
    assert response.ttl >= 0
