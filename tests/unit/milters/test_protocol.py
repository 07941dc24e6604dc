"""Packets and payloads: what is read, what is refused, what is agreed on."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from milters import mfdef, protocol
from milters.handler import Needs, Step
from milters.negotiation import negotiate
from milters.protocol import PacketReader, ProtocolError
from tests.harness.milter_client import ALL_ACTIONS, ALL_STEPS, packet
from tests.unit.milters.handlers import ALL, MACROS

READERS: list[Callable[[bytes], Any]] = [
    protocol.read_offer,
    protocol.read_connect,
    protocol.read_helo,
    protocol.read_path,
    protocol.read_header,
    protocol.read_macros,
]

READ = [
    (protocol.read_offer, struct.pack("!III", 6, 1, 2), (6, 1, 2)),
    (protocol.read_offer, struct.pack("!III", 6, 1, 2) + b"more", (6, 1, 2)),
    (protocol.read_connect, b"a.example\x004\x00\x19192.0.2.1\0", ("a.example", "192.0.2.1")),
    (protocol.read_connect, b"a.example\x006\x00\x192001:db8::1\0", ("a.example", "2001:db8::1")),
    (protocol.read_connect, b"a.example\x006\x00\x19IPv6:2001:db8::1\0", ("a.example", "2001:db8::1")),
    (protocol.read_connect, b"a.example\x004\x00\x00unknown\0", ("a.example", "")),
    (protocol.read_connect, b"a.example\x004\x00\x00\0", ("a.example", "")),
    (protocol.read_connect, b"localhost\0L\0\0/run/x\0", ("localhost", "")),
    (protocol.read_connect, b"unknown\0U", ("unknown", "")),
    (protocol.read_connect, b"\xff\0U", ("\udcff", "")),
    (protocol.read_helo, b"a.example\0", b"a.example"),
    (protocol.read_helo, b"\0", b""),
    (protocol.read_path, b"<a@b.example>\0SIZE=10\0", b"a@b.example"),
    (protocol.read_path, b"<>\0", b""),
    (protocol.read_path, b"a@b.example\0", b"a@b.example"),
    (protocol.read_path, b'<"<x>"@b.example>\0', b'"<x>"@b.example'),
    (protocol.read_header, b"To\0 a\n\tb\0", (b"To", b" a\n\tb")),
    (protocol.read_header, b"To\0\0", (b"To", b"")),
    (protocol.read_macros, b"", {}),
    (protocol.read_macros, b"i\0X1\0{auth_authen}\0jan\0", {"i": "X1", "auth_authen": "jan"}),
    (protocol.read_macros, b"i\0\xff\0", {"i": "\udcff"}),
]

REFUSED = [
    (protocol.read_offer, b""),
    (protocol.read_offer, b"\0" * 11),
    (protocol.read_connect, b""),
    (protocol.read_connect, b"a.example"),
    (protocol.read_connect, b"a.example\0"),
    (protocol.read_connect, b"a.example\0X"),
    (protocol.read_connect, b"a.example\x004"),
    (protocol.read_connect, b"a.example\x004\0"),
    (protocol.read_connect, b"a.example\x004\0\x19192.0.2.1"),
    (protocol.read_connect, b"a.example\x004\0\x19192.0.2.1.5\0"),
    (protocol.read_connect, b"a" * 5000 + b"\0U"),
    (protocol.read_helo, b"a"),
    (protocol.read_path, b""),
    (protocol.read_path, b"<" + b"a" * 5000 + b">\0"),
    (protocol.read_header, b""),
    (protocol.read_header, b"To"),
    (protocol.read_header, b"To\0"),
    (protocol.read_header, b"To\0a"),
    (protocol.read_header, b"\0a\0"),
    (protocol.read_macros, b"i"),
    (protocol.read_macros, b"i\0"),
    (protocol.read_macros, b"i\0X1"),
    (protocol.read_macros, b"i\0X1\0j\0"),
]


@pytest.mark.parametrize(("read", "payload", "expected"), READ)
def test_payloads(read: Callable[[bytes], Any], payload: bytes, expected: object) -> None:
    assert read(payload) == expected


@pytest.mark.parametrize(("read", "payload"), REFUSED)
def test_payloads_that_are_none(read: Callable[[bytes], Any], payload: bytes) -> None:
    with pytest.raises(ProtocolError):
        read(payload)


@given(st.sampled_from(READERS), st.binary(max_size=200))
@settings(max_examples=200)
def test_readers_raise_nothing_else(read: Callable[[bytes], Any], payload: bytes) -> None:
    try:
        read(payload)
    except ProtocolError:
        pass


packets = st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=50)), max_size=10)


def fed(stream: bytes, cuts: list[int], limit: int = 60) -> tuple[list[tuple[int, bytes]], bool, bool]:
    """What a reader makes of *stream*, cut at *cuts*: the packets, whether it is at fault, whether one is half."""
    reader, found, start = PacketReader(limit), [], 0
    for end in [*sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]:
        found += reader.feed(stream[start:end])
        start = end
    return found, reader.fault is not None, reader.partial


@given(packets, st.binary(max_size=20), st.lists(st.integers(0, 600), max_size=12))
@settings(max_examples=200)
def test_cuts_make_no_difference(sent: list[tuple[int, bytes]], tail: bytes, cuts: list[int]) -> None:
    stream = b"".join(packet(command, payload) for command, payload in sent) + tail
    whole = fed(stream, [])
    assert fed(stream, cuts) == whole
    assert fed(stream, list(range(len(stream)))) == whole
    assert whole[0][: len(sent)] == sent


@pytest.mark.parametrize(
    ("length", "fault"), [(0, True), (1, False), (60, False), (61, True), (2**32 - 1, True)]
)
def test_lengths(length: int, fault: bool) -> None:
    # What is whole ahead of the fault is still delivered.
    found, faulty, _ = fed(packet(b"A") + struct.pack("!I", length) + b"Q", [])
    assert (found[0], faulty) == ((ord("A"), b""), fault)


def test_a_large_packet_octet_by_octet_costs_no_more_than_its_octets() -> None:
    reader = PacketReader(200_000)
    stream = packet(b"B", b"x" * 199_999)
    found: list[tuple[int, bytes]] = []
    for octet in stream:
        found += reader.feed(bytes((octet,)))
    assert found == [(ord("B"), b"x" * 199_999)]


NR_ALL = (
    mfdef.SMFIP_NR_CONN
    | mfdef.SMFIP_NR_HELO
    | mfdef.SMFIP_NR_MAIL
    | mfdef.SMFIP_NR_RCPT
    | mfdef.SMFIP_NR_DATA
    | mfdef.SMFIP_NR_HDR
    | mfdef.SMFIP_NR_EOH
    | mfdef.SMFIP_NR_BODY
    | mfdef.SMFIP_NR_UNKN
)
ALWAYS = mfdef.SMFIP_HDR_LEADSPC | mfdef.SMFIP_NOUNKNOWN | mfdef.SMFIP_NR_UNKN


def test_agreement_with_postfix() -> None:
    agreed = negotiate(6, ALL_ACTIONS, ALL_STEPS, Needs(ALL, MACROS))
    assert agreed.version == 6
    assert agreed.steps == ALWAYS | NR_ALL
    assert agreed.actions == mfdef.SMFIF_ADDHDRS | mfdef.SMFIF_CHGHDRS | mfdef.SMFIF_SETSYMLIST
    assert agreed.macros == {0: "j", 2: "{auth_authen}", 4: "i", 5: "i"}
    assert not any(agreed.replies.values())


def test_steps_that_are_not_needed_are_not_sent() -> None:
    agreed = negotiate(6, ALL_ACTIONS, ALL_STEPS, Needs(Step.MAIL, {}, changes_headers=False))
    left_out = mfdef.SMFIP_NOCONNECT | mfdef.SMFIP_NOHELO | mfdef.SMFIP_NORCPT | mfdef.SMFIP_NODATA
    left_out |= mfdef.SMFIP_NOHDRS | mfdef.SMFIP_NOEOH | mfdef.SMFIP_NOBODY
    assert agreed.steps == ALWAYS | mfdef.SMFIP_NR_MAIL | left_out
    assert agreed.actions == mfdef.SMFIF_ADDHDRS
    assert agreed.macros == {}


@pytest.mark.parametrize(("offered", "skips"), [(ALL_STEPS, True), (ALL_STEPS & ~mfdef.SMFIP_SKIP, False)])
def test_body_chunks_are_answered_only_where_they_can_be_skipped(offered: int, skips: bool) -> None:
    agreed = negotiate(6, ALL_ACTIONS, offered, Needs(ALL, {}, skips_body=True))
    assert agreed.may_skip is skips
    assert bool(agreed.steps & mfdef.SMFIP_NR_BODY) is not skips


@pytest.mark.parametrize(("offered", "answered"), [(2, 2), (6, 6), (7, 6), (2**32 - 1, 6)])
def test_versions(offered: int, answered: int) -> None:
    assert negotiate(offered, ALL_ACTIONS, ALL_STEPS, Needs(ALL, {})).version == answered


@pytest.mark.parametrize("offered", [0, 1])
def test_versions_that_are_too_old(offered: int) -> None:
    with pytest.raises(ProtocolError):
        negotiate(offered, ALL_ACTIONS, ALL_STEPS, Needs(ALL, {}))


@given(
    st.integers(2, 9), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.integers(0, 63), st.booleans()
)
@settings(max_examples=200)
def test_nothing_is_taken_that_was_not_offered(
    version: int, actions: int, steps: int, needed: int, skips: bool
) -> None:
    agreed = negotiate(version, actions, steps, Needs(Step(needed), MACROS, True, True, skips))
    assert agreed.actions & ~actions == 0
    assert agreed.steps & ~steps == 0
    assert agreed.version <= version
