"""Requests out of a stream, answers into it: what is read, what is refused, what can never be written."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.handler import Request
from policy.protocol import MAX_ACTION, ActionError, ProtocolError, Refusal, RequestReader, write_action
from tests.harness.policy_client import USUAL, request

HEAD = b"request=smtpd_access_policy\n"

READ: list[tuple[bytes, list[dict[str, str]]]] = [
    (b"", []),
    (b"a=b", []),
    (b"a=b\n", []),
    (b"a=b\n\n", [{"a": "b"}]),
    (b"a=b\n\nc=d\n\n", [{"a": "b"}, {"c": "d"}]),
    (b"a=b\n\nc=d\n\ne=", [{"a": "b"}, {"c": "d"}]),
    (b"a=\nb=\n\n", [{"a": "", "b": ""}]),
    (b"a==\nb=c=d\n\n", [{"a": "=", "b": "c=d"}]),
    (b"a= b \n\n", [{"a": " b "}]),
    (b"a=caf\xc3\xa9\nb=\xff\xfe\n\n", [{"a": "café", "b": "\udcff\udcfe"}]),
    (b"a=\x01\x02\x7f\x85\xe2\x80\xa8\n\n", [{"a": "\x01\x02\x7f\udc85\u2028"}]),
    # The line end is that of the empty line; a CR before another kind of end is part of the value.
    (b"a=b\r\nc=d\r\n\r\n", [{"a": "b", "c": "d"}]),
    (b"a=b\r\n\r\nc=d\n\n", [{"a": "b"}, {"c": "d"}]),
    (b"a=b\r\nc=d\n\n", [{"a": "b\r", "c": "d"}]),
    (b"a=b\rc\nd=\r\n\n", [{"a": "b\rc", "d": "\r"}]),
    (b"a=b\nc=d\r\n\r\n", [{"a": "b", "c": "d"}]),
    (request({"sender": "x@y"}, instance="1"), [{**USUAL, "sender": "x@y", "instance": "1"}]),
]


@pytest.mark.parametrize(("stream", "expected"), READ)
def test_what_is_read(stream: bytes, expected: list[dict[str, str]]) -> None:
    reader = RequestReader()
    assert reader.feed(stream) == [Request(attributes) for attributes in expected]
    assert reader.fault is None


REFUSED: list[tuple[bytes, str]] = [
    (HEAD + b"sender\n\n", "a line without ="),
    (HEAD + b"\r\n", ""),  # no more than an end in another style
    (HEAD + b"=value\n\n", "an attribute without a name"),
    (HEAD + b"a=1\na=1\n\n", "an attribute twice"),
    (HEAD + b"a=1\nrequest=smtpd_access_policy\n\n", "an attribute twice"),
    (HEAD + b"a=\0\n\n", "NUL"),
    (HEAD + b"a\0=b\n\n", "NUL"),
    (HEAD + b"".join(b"a%d=\n" % number for number in range(200)) + b"\n", "more than 200 attributes"),
    (HEAD + b"a=" + b"x" * 65_536 + b"\n\n", "more than 65536 octets"),
    (b"request=another\n\n", "another kind of request"),
]


@pytest.mark.parametrize(("stream", "reason"), REFUSED)
def test_a_request_that_cannot_be_used_costs_only_itself(stream: bytes, reason: str) -> None:
    reader = RequestReader()
    refused, sound = reader.feed(stream + b"a=b\n\n")
    assert sound == Request({"a": "b"})
    if reason:
        assert refused == Refusal(reason)
    assert reader.fault is None


NO_REQUESTS = [
    b"\n\n",
    b"\n\r\n",
    b"\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n",
    b"a=b\nc\n\n",
    b"\na=b\n\n",
    b"=\n\n",
    b"a=1\na=1\n\n",
    b"a=\0\n\n",
    b"x" * 65_540,
    b"a=" + b"x" * 65_536 + b"\n\n",
    b"\n" + b"a=b\n" * 300 + b"\n",
]


@pytest.mark.parametrize("stream", NO_REQUESTS)
def test_what_is_no_request_ends_all(stream: bytes) -> None:
    reader = RequestReader()
    assert reader.feed(b"a=b\n\n" + stream) == [Request({"a": "b"})]
    assert isinstance(reader.fault, ProtocolError)
    assert not reader.partial
    assert reader.feed(b"a=b\n\n") == []


def test_limits_are_exact() -> None:
    exact = HEAD + b"a=" + b"x" * (100 - len(HEAD) - 2)
    for octets, taken in ((exact, True), (exact + b"x", False)):
        (found,) = RequestReader(max_bytes=100).feed(octets + b"\n\n")
        assert isinstance(found, Request) == taken
        reader = RequestReader(max_bytes=100)
        pieces = [reader.feed(octets[place : place + 1]) for place in range(len(octets))]
        assert not any(pieces)
        (found,) = reader.feed(b"\n\n")
        assert isinstance(found, Request) == taken
    for count, taken in ((20, True), (21, False)):
        lines = HEAD + b"".join(b"a%d=\n" % number for number in range(count - 1))
        (found,) = RequestReader(max_attributes=20).feed(lines + b"\n")
        assert isinstance(found, Request) == taken


def test_an_endless_request_costs_no_memory() -> None:
    reader = RequestReader(max_bytes=1000)
    reader.feed(HEAD + b"a=")
    for _ in range(1000):
        assert reader.feed(b"x" * 1000 + b"\nb=") == []
    assert reader.partial
    assert len(reader._buffer) <= 3
    assert reader.feed(b"\n") == []
    assert reader.feed(b"\nc=d\n\n") == [Refusal("more than 1000 octets"), Request({"c": "d"})]


def test_a_request_in_parts_is_told_from_the_next() -> None:
    reader = RequestReader()
    assert (reader.partial, reader.begun) == (False, 0)
    reader.feed(b"a=")
    first = reader.begun
    reader.feed(b"b\n")
    assert (reader.partial, reader.begun) == (True, first)
    reader.feed(b"\nc=d")
    assert (reader.partial, reader.begun) == (True, first + 1)
    reader.feed(b"\n\n")
    assert not reader.partial


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({place % (len(stream) + 1) for place in places} | {0, len(stream)})
    return [stream[start:end] for start, end in itertools.pairwise(ends)]


def read(reader: RequestReader, pieces: list[bytes]) -> tuple[list[Request | Refusal], str]:
    found = [each for piece in pieces for each in reader.feed(piece)]
    return found, str(reader.fault)


LINE = st.sampled_from([b"a=b", b"c=", b"=", b"\0=1", b"d", b"e=\r", b"f=\xff", b"request=other", HEAD[:-1]])
BLOCK = st.builds(
    lambda lines, head, end: (HEAD if head else b"") + b"".join(line + end for line in lines) + end,
    st.lists(LINE, max_size=6),
    st.booleans(),
    st.sampled_from([b"\n", b"\r\n"]),
)
STREAM = st.one_of(
    st.lists(BLOCK, max_size=5).map(b"".join),
    st.binary(max_size=200),
    st.text("a=\r\n\0é", max_size=60).map(str.encode),
)


@settings(max_examples=300)
@given(STREAM, st.lists(st.integers(0, 10_000), max_size=20))
def test_any_cutting_reads_the_same(stream: bytes, places: list[int]) -> None:
    whole = read(RequestReader(60, 4), [stream])
    assert read(RequestReader(60, 4), cut(stream, places)) == whole
    assert read(RequestReader(60, 4), [stream[at : at + 1] for at in range(len(stream))]) == whole


NAME = st.text(st.characters(codec="ascii", exclude_characters="=\r\n\0"), min_size=1, max_size=20)
VALUE = st.binary(max_size=100).map(lambda octets: octets.replace(b"\n", b"").replace(b"\0", b""))


@settings(max_examples=200)
@given(st.lists(st.dictionaries(NAME, VALUE, min_size=1, max_size=10), max_size=5))
def test_any_attributes_come_through(requests: list[dict[str, bytes]]) -> None:
    requests = [{name: value for name, value in each.items() if name != "request"} for each in requests]
    requests = [each for each in requests if each]
    stream = b"".join(
        b"".join(name.encode() + b"=" + value + b"\n" for name, value in each.items()) + b"\n"
        for each in requests
    )
    expected = [
        Request({name: value.decode("utf-8", "surrogateescape") for name, value in each.items()})
        for each in requests
    ]
    assert RequestReader().feed(stream) == expected


WRITTEN = [
    ("DUNNO", b"action=DUNNO\n\n"),
    (" OK ", b"action=OK\n\n"),
    ("550 5.7.23 no", b"action=550 5.7.23 no\n\n"),
    ("PREPEND X: a\tb", b"action=PREPEND X: a b\n\n"),
    ("PREPEND X: é", "action=PREPEND X: é\n\n".encode()),
    ("REJECT a\r\nb\n\naction=OK", b"action=REJECT a??b??action=OK\n\n"),
    ("REJECT \x00\x1b[31m\x7f\x85\u2028\u202e\udcff", b"action=REJECT ??[31m?????\n\n"),
    ("REJECT " + "x" * 2000, b"action=REJECT " + b"x" * (MAX_ACTION - 7) + b"\n\n"),
    ("REJECT " + "é" * 2000, b"action=REJECT " + "é".encode() * ((MAX_ACTION - 7) // 2) + b"\n\n"),
    ("PREPEND X: " + "x" * (MAX_ACTION - 11), b"action=PREPEND X: " + b"x" * (MAX_ACTION - 11) + b"\n\n"),
]


@pytest.mark.parametrize(("action", "octets"), WRITTEN)
def test_what_is_written(action: str, octets: bytes) -> None:
    assert write_action(action) == octets


@pytest.mark.parametrize("action", ["", " ", "prepend X: " + "x" * 1000, "FILTER x:" + "y" * 1000])
def test_what_is_not_written(action: str) -> None:
    with pytest.raises(ActionError):
        write_action(action)


@settings(max_examples=300)
@given(st.text(max_size=300) | st.text("a\r\n =\0", max_size=30))
def test_no_action_makes_a_second_line(action: str) -> None:
    try:
        octets = write_action(action)
    except ActionError:
        return
    assert octets.startswith(b"action=")
    assert octets.endswith(b"\n\n")
    line = octets[7:-2].decode()
    assert line.isprintable()
    assert 0 < len(line.encode()) <= MAX_ACTION
