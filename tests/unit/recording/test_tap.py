"""Listening in: the same events however the octets come, and nothing is lost."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from gatepost.recording.events import End, Left, Raw, Side
from milters import mfdef
from milters.protocol import packet
from milters.recording.events import Event, Packet
from milters.recording.tap import Tap

MTA, DAEMON = Side.MTA, Side.DAEMON
HELO, MAIL, QUIT = (
    packet(mfdef.SMFIC_HELO, b"a\0"),
    packet(mfdef.SMFIC_MAIL, b"<b>\0"),
    packet(mfdef.SMFIC_QUIT),
)
OK = packet(mfdef.SMFIR_CONTINUE)


def heard(*said: tuple[Side, bytes | End]) -> list[Event]:
    tap = Tap()
    for side, what in said:
        if isinstance(what, End):
            tap.leave(side, what)
        else:
            tap.read(side, what)
    return tap.events


def test_what_was_written_together_stays_together() -> None:
    assert heard((MTA, HELO + MAIL), (DAEMON, OK), (MTA, HELO), (MTA, MAIL)) == [
        Packet(MTA, mfdef.SMFIC_HELO, b"a\0"),
        Packet(MTA, mfdef.SMFIC_MAIL, b"<b>\0", True),
        Packet(DAEMON, mfdef.SMFIR_CONTINUE),
        Packet(MTA, mfdef.SMFIC_HELO, b"a\0"),
        Packet(MTA, mfdef.SMFIC_MAIL, b"<b>\0"),
    ]


def test_a_cut_within_a_packet_is_no_end_of_a_write() -> None:
    assert heard((MTA, HELO + MAIL[:3]), (MTA, MAIL[3:])) == heard((MTA, HELO + MAIL))


def test_an_answer_in_between_parts_what_stands_around_it() -> None:
    assert [
        event.joined
        for event in heard((MTA, HELO + MAIL[:3]), (DAEMON, OK), (MTA, MAIL[3:]))
        if isinstance(event, Packet)
    ] == [
        False,
        False,
        False,
    ]


def test_half_a_packet_is_kept() -> None:
    assert heard((MTA, HELO[:6]), (MTA, End.RESET)) == [Raw(MTA, HELO[:6]), Left(MTA, End.RESET)]


def test_what_is_not_the_protocol_is_kept() -> None:
    assert heard((MTA, HELO + b"GET / HTTP/1.0\r\n"), (MTA, b"\r\n"), (MTA, End.CLOSE)) == [
        Packet(MTA, mfdef.SMFIC_HELO, b"a\0"),
        Raw(MTA, b"GET / HTTP/1.0\r\n"),
        Raw(MTA, b"\r\n"),
        Left(MTA, End.CLOSE),
    ]


def test_a_length_of_zero_is_no_packet() -> None:
    assert heard((DAEMON, struct.pack("!I", 0) + b"x")) == [Raw(DAEMON, b"\0\0\0\0x")]


def test_who_leaves_first_has_left() -> None:
    assert heard((DAEMON, End.CLOSE), (MTA, End.RESET)) == [Left(DAEMON, End.CLOSE)]


def test_after_a_quit_it_is_the_mta_that_leaves() -> None:
    assert heard((MTA, QUIT), (DAEMON, End.CLOSE))[1:] == [Left(MTA, End.CLOSE)]


@given(st.lists(st.binary(max_size=9), max_size=9), st.data())
def test_any_cutting_gives_the_same_packets(payloads: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(packet(mfdef.SMFIC_BODY, payload) for payload in payloads)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=9)))
    pieces = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]

    events = heard(*((MTA, piece) for piece in pieces if piece))

    assert [event.payload for event in events if isinstance(event, Packet)] == payloads
    assert len(events) == len(payloads)


@given(st.lists(st.tuples(st.sampled_from(Side), st.binary(max_size=30)), max_size=9))
def test_no_octet_is_lost(said: list[tuple[Side, bytes]]) -> None:
    events = heard(*said, (MTA, End.CLOSE))

    for side in Side:
        kept = b"".join(
            packet(event.command, event.payload) if isinstance(event, Packet) else event.octets
            for event in events
            if not isinstance(event, Left) and event.side is side
        )
        assert kept == b"".join(octets for one, octets in said if one is side)
