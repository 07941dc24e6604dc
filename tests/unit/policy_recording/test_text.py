"""Policy sessions as text: written, read back, and what is no session file."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatepost.recording.events import End, Left, Raw, RecordingError, Side
from policy.recording.events import Answered, Asked, Clock, Connection, Recording
from policy.recording.tap import Tap
from policy.recording.text import VERSION_LINE, parse, write
from tests.harness.policy_client import request

TEXT = """\
gatepost policy session 1
# What it is for.
#
# How it was made.

open

clock 1795255200

> request
    request="smtpd_access_policy"
    sender="caf\\xe9 \\"x\\" \\\\ é"

< action "DUNNO"

> raw "x\\n\\n"

< close

open

> reset
"""

RECORDING = Recording(
    [
        Connection(
            [
                Clock(1795255200),
                Asked((("request", b"smtpd_access_policy"), ("sender", b'caf\xe9 "x" \\ \xc3\xa9'))),
                Answered(b"DUNNO"),
                Raw(Side.MTA, b"x\n\n"),
                Left(Side.DAEMON, End.CLOSE),
            ]
        ),
        Connection([Left(Side.MTA, End.RESET)]),
    ],
    "What it is for.\n\nHow it was made.",
)


def test_text() -> None:
    assert write(RECORDING) == TEXT
    assert parse(TEXT) == RECORDING


WRONG = [
    ("", 1, "begins with the line"),
    ("gatepost session 1\n", 1, "begins with the line"),
    (f"{VERSION_LINE}\n> request\n", 2, '"open" is missing'),
    (f'{VERSION_LINE}\nopen\n    a="b"\n', 3, "there is none"),
    (f"{VERSION_LINE}\nopen\n> request\n    a=b\n", 4, 'name="value"'),
    (f'{VERSION_LINE}\nopen\n> request\n    a="\\q"\n', 4, "no escape"),
    (f'{VERSION_LINE}\nopen\n> request\n\n> action "x"\n', 5, "expected"),
    (f'{VERSION_LINE}\nopen\n> close\n< action "x"\n', 4, '"open" is missing'),
    (f"{VERSION_LINE}\nopen\nclock soon\n", 3, "expected"),
    (f'{VERSION_LINE}\nopen\n< action "x" "y"\n', 3, "expected"),
]


@pytest.mark.parametrize(("text", "line", "words"), WRONG)
def test_what_is_no_session(text: str, line: int, words: str) -> None:
    with pytest.raises(RecordingError, match=words) as caught:
        parse(text)
    assert caught.value.line == line


NAME = st.from_regex(r"[A-Za-z0-9_.-]{1,20}", fullmatch=True)
OCTETS = st.binary(max_size=200)
SAID = st.one_of(
    st.builds(Asked, st.lists(st.tuples(NAME, OCTETS), min_size=1, max_size=5).map(tuple)),
    st.builds(Answered, OCTETS),
    st.builds(Clock, st.integers(0, 10**11)),
    st.builds(Raw, st.sampled_from(Side), OCTETS),
)
CONNECTION = st.builds(
    lambda events, left: Connection([*events, *([left] if left else [])]),
    st.lists(SAID, max_size=6),
    st.none() | st.builds(Left, st.sampled_from(Side), st.sampled_from(End)),
)
COMMENT = st.lists(st.from_regex(r"[!-~]( ?[!-~]){0,20}", fullmatch=True), max_size=3).map("\n".join)


@settings(max_examples=200)
@given(st.builds(Recording, st.lists(CONNECTION, max_size=3), COMMENT))
def test_any_recording_is_read_as_it_was_written(recording: Recording) -> None:
    assert parse(write(recording)) == recording


@settings(max_examples=200)
@given(st.text(alphabet='>< acdehiklnopqrstw"\\=\n#', max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parse(f"{VERSION_LINE}\nopen\n{text}")
    except RecordingError:
        pass


STREAMS = st.lists(
    st.tuples(
        st.sampled_from(Side),
        st.sampled_from(
            [request(), b"a=b\n\n", b"action=DUNNO\n\n", b"junk\n\n", b"\n\n", b"half", b"a=b\r\n\n"]
        ),
    ),
    max_size=8,
)


@settings(max_examples=200)
@given(STREAMS, st.integers(1, 40))
def test_what_a_tap_heard_is_what_was_said(said: list[tuple[Side, bytes]], size: int) -> None:
    tap = Tap(clock=lambda: 7.0)
    for side, octets in said:
        for start in range(0, len(octets), size):
            tap.read(side, octets[start : start + size])
    tap.leave(Side.MTA, End.CLOSE)
    tap.leave(Side.DAEMON, End.RESET)
    heard = dict.fromkeys(Side, b"")
    for event in tap.events[:-1]:
        match event:
            case Asked():
                heard[Side.MTA] += event.octets()
            case Answered(action):
                heard[Side.DAEMON] += b"action=%b\n\n" % action
            case Raw(side, octets):
                heard[side] += octets
    assert heard == {side: b"".join(octets for who, octets in said if who is side) for side in Side}
    assert tap.events[-1] == Left(Side.MTA, End.CLOSE)
    assert parse(write(Recording([Connection(tap.events)]))).connections[0].events == tap.events


def test_a_tap_tells_the_time_once_a_second() -> None:
    times = iter([10.2, 10.9, 11.0])
    tap = Tap(clock=lambda: next(times))
    for _ in range(3):
        tap.read(Side.MTA, b"a=b\n\n")
        assert not tap.between_messages
        tap.read(Side.DAEMON, b"action=OK\n\n")
        assert tap.between_messages
    asked, answered = Asked((("a", b"b"),)), Answered(b"OK")
    assert tap.events == [Clock(10), asked, answered, asked, answered, Clock(11), asked, answered]
