"""Session files: every recording is the same after it was written and read."""

from __future__ import annotations

import struct

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gatepost.recording.events import End, Left, Raw, RecordingError, Side
from gatepost.recording.octets import quote, strings, unquote
from milters import mfdef
from milters.recording.events import Connection, Packet, Recording
from milters.recording.generated import MAX_SIZE, claimed, generate
from milters.recording.parser import parse
from milters.recording.payloads import build, describe
from milters.recording.words import ACTIONS, COMMANDS, STEPS, bits, flags
from milters.recording.writer import write

HEAD = "gatepost session 1\n"

COMMANDS_OF_BOTH = [(side, value) for side in Side for value in COMMANDS[side].values()]
WORDS = st.binary(max_size=20).map(lambda octets: octets.replace(b"\0", b"?"))
TERMINATED = st.lists(WORDS, max_size=4).map(lambda found: b"".join(word + b"\0" for word in found))
NUMBER = st.integers(0, 2**32 - 1).map(lambda number: struct.pack("!I", number))
PAYLOADS = st.one_of(
    st.binary(max_size=60),
    TERMINATED,
    st.builds(bytes.__add__, NUMBER, TERMINATED),
    st.builds(lambda *parts: b"".join(parts), NUMBER, NUMBER, NUMBER, st.sampled_from([b"", b"\0\0\0\1i\0"])),
    st.builds(bytes.__add__, st.sampled_from([b"M", b"R", b"\x01"]), TERMINATED),
    st.builds(
        lambda name, family, address: name + b"\0" + family + b"\x9c\x40" + address + b"\0",
        WORDS,
        st.sampled_from([b"4", b"6", b"L"]),
        WORDS,
    ),
    st.just(b"a line of text, again\r\n" * 30),
    st.just(b"x" * 1000),
)


@st.composite
def events(draw: st.DrawFn) -> Connection:
    connection = Connection()
    for _ in range(draw(st.integers(0, 8))):
        last = connection.events[-1] if connection.events else None
        side, command = draw(
            st.one_of(
                st.sampled_from(COMMANDS_OF_BOTH),
                st.tuples(st.sampled_from(Side), st.integers(0, 255)),
            )
        )
        if draw(st.integers(0, 9)) == 0:
            connection.events.append(Raw(side, draw(st.binary(max_size=30))))
            continue
        joined = isinstance(last, Packet) and last.side is side and draw(st.booleans())
        connection.events.append(Packet(side, command, draw(PAYLOADS), joined))
    if draw(st.booleans()):
        connection.events.append(Left(draw(st.sampled_from(Side)), draw(st.sampled_from(End))))
    return connection


@settings(max_examples=300, deadline=None)
@given(st.lists(events(), max_size=3), st.sampled_from(["", "one line", "several\n\nlines of # it"]))
def test_what_is_written_is_read_back(connections: list[Connection], comment: str) -> None:
    recording = Recording(connections, comment)

    assert parse(write(recording)) == recording


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=st.sampled_from('><+ \t\n"\\*#x0MACROBDYPTNEG=ahgeneratd19'), max_size=80))
@example('open\n> BODY "' + "\\")
@example("open\n> OPTNEG 6 actions steps macros")
@example("open\n> OPTNEG actions steps 1")
@example("open\n> CONNECT inet")
@example('open\n> CONNECT "x" "y"')
@example("open\n> BODY generated 1 octets seed 1 from 0 to 1")
@example("open\n> OPTNEG 99999999999 actions steps")
@example('open\n> raw "\udc80"')
def test_what_is_no_recording_is_refused_with_a_line(text: str) -> None:
    try:
        parse(HEAD + text)
    except RecordingError as error:
        line = error.line
    else:
        line = 1
    assert 1 <= line <= text.count("\n") + 2


@given(st.binary(max_size=400))
@example("größe é\u2028\x85 ".encode())
@example(b"ab" * 600 + b"\n\n\n\r")
@example(b"\xff\xfe\xc3")
def test_octets_survive_quoting(octets: bytes) -> None:
    assert unquote(quote(octets)[1:-1]) == octets
    whole = parse(HEAD + "open\n> BODY\n    " + "\n    ".join(strings(octets)) + "\n")
    assert whole.connections == [Connection([Packet(Side.MTA, mfdef.SMFIC_BODY, octets)])]


@given(st.integers(0, 2**32 - 1))
def test_flags_survive_being_named(number: int) -> None:
    assert bits(flags(number, STEPS), STEPS) == number
    assert bits(flags(number, ACTIONS), ACTIONS) == number


READABLE = [
    ("M", b"<a@b>\0SIZE=1\0", '"<a@b>" "SIZE=1"'),
    ("L", b"From\0 A\n\tb\0", '"From" " A\\n\\tb"'),
    ("D", b"C{daemon_name}\0x\0v\0Postfix\0", 'CONNECT {daemon_name}= "x" v= "Postfix"'),
    ("C", b"mx\0" + b"4\x9c\x40192.0.2.1\0", '"mx" inet 40000 "192.0.2.1"'),
    ("C", b"localhost\0U", '"localhost" unknown'),
    ("H", b"no end", 'payload "no end"'),
    ("E", b"", ""),
    ("i", b"\0\0\0\1X\0 y\0", '1 "X" " y"'),
    (
        "O",
        struct.pack("!III", 6, 0x11, 0x400) + b"\0\0\0\5i\0",
        "6 actions ADDHDRS CHGHDRS steps SKIP macros EOM",
    ),
]


@pytest.mark.parametrize(("command", "payload", "text"), READABLE)
def test_payloads_are_readable(command: str, payload: bytes, text: str) -> None:
    parts = [part for line in describe(ord(command), payload) for part in line]
    shown = " ".join(quote(part) if isinstance(part, bytes) else part for part in parts)

    assert shown.removesuffix(' "i"') == text
    assert build(ord(command), parts) == payload


REFUSED = [
    ("", 1, 'a session file begins with the line "gatepost session 1"'),
    ("gatepost session 2\n", 1, 'a session file begins with the line "gatepost session 1"'),
    (HEAD + "> EOH\n", 2, 'the connection is not open: "open" is missing above'),
    (HEAD + "open\n> close\n\n> EOH\n", 5, 'the connection has ended: "open" is missing above'),
    (HEAD + "open\n  EOH\n", 3, "an indented line continues the one above, but there is none"),
    (HEAD + "open\n+ EOH\n", 3, '"+" continues a write, but no packet stands above it'),
    (HEAD + "open\nEOH\n", 3, 'expected "open", or a line that begins with ">", "<" or "+"'),
    (HEAD + "open\n> ACCEPT\n", 3, "the MTA has no command ACCEPT"),
    (HEAD + "open\n< HELO\n", 3, "the daemon has no command HELO"),
    (HEAD + 'open\n> HELO "x\n', 3, "a quoted string does not end"),
    (HEAD + 'open\n> HELO "\\q"\n', 3, "\\q is no escape"),
    (HEAD + "open\n> HELO x\n", 3, "expected a quoted string, not x"),
    (HEAD + "open\n> EOH now\n", 3, "nothing is expected behind this command"),
    (HEAD + 'open\n< INSHEADER x "a" "b"\n', 3, "expected a number, not x"),
    (HEAD + "open\n> MACRO MAIL i\n", 3, 'expected macros, each as name="value"'),
    (HEAD + "open\n> MACRO MAIL i=\n", 3, "a macro without a value"),
    (HEAD + "open\n> OPTNEG 6\n    actions ADDHDRS\n    steps NOPE\n", 3, "no such flag: NOPE"),
    (HEAD + 'open\n> CONNECT "x" inet 70000 "y"\n', 3, "a number is out of its range"),
    (HEAD + 'open\n> BODY "x" * 999999999\n', 3, "more than 268435456 octets"),
    (
        HEAD + "open\n> BODY generated 999999999 octets seed 1 from 0 to 999999999\n",
        3,
        "more than 268435456 octets",
    ),
    (
        HEAD + "open\n> BODY generated 90 octets seed 1 from 9 to 91\n",
        3,
        "there is no such part of a generated body",
    ),
    (
        HEAD + "open\n> BODY generated 9\n",
        3,
        "expected generated SIZE octets seed NUMBER from NUMBER to NUMBER",
    ),
    (
        HEAD + "open\n> BODY generated 9 octets seed 1 from 0 to 9\n",
        3,
        f"a generated body has 35 to {MAX_SIZE} octets, not 9",
    ),
]


@pytest.mark.parametrize(("text", "line", "reason"), REFUSED)
def test_errors_name_their_line(text: str, line: int, reason: str) -> None:
    with pytest.raises(RecordingError) as caught:
        parse(text)

    assert str(caught.value) == f"line {line}: {reason}"


def _chunks(body: bytes, size: int) -> list[Packet]:
    starts = range(0, len(body), size)
    return [Packet(Side.MTA, mfdef.SMFIC_BODY, body[start : start + size]) for start in starts]


def test_a_generated_body_is_not_written_out() -> None:
    first, *others = _chunks(generate(150_000, 7), 65535)
    macros = Packet(Side.MTA, mfdef.SMFIC_MACRO, b"Bi\x001\0", True)
    events = [first, *(event for chunk in others for event in (macros, chunk._replace(joined=True)))]
    recording = Recording([Connection([*events, *_chunks(generate(100, 1), 100)])])

    text = write(recording)

    assert text.splitlines()[4:] == [
        "> BODY generated 150000 octets seed 7 from 0 to 65535",
        '+ MACRO BODY i="1"',
        "+ BODY generated 150000 octets seed 7 from 65535 to 131070",
        '+ MACRO BODY i="1"',
        "+ BODY generated 150000 octets seed 7 from 131070 to 150000",
        "",
        "> BODY generated 100 octets seed 1 from 0 to 100",
    ]
    assert parse(text) == recording


def test_what_only_claims_to_be_generated_is_written_out() -> None:
    body = generate(3000, 7)
    chunks = _chunks(body, 1000)
    chunks[1] = chunks[1]._replace(payload=chunks[1].payload.replace(b"A", b"B"))
    recording = Recording([Connection([*chunks, Packet(Side.MTA, mfdef.SMFIC_BODY, body[:30])])])

    assert write(recording).count(" generated ") == 1
    assert parse(write(recording)) == recording


def test_generated_bodies_never_change() -> None:
    """Session files depend on it."""
    body = generate(100, 1)

    assert body[:40] == b"Generated text, 100 octets, seed 1.\r\nLxa"
    assert len(body) == 100
    assert body.endswith(b"\r\n")
    assert claimed(body) == (100, 1)
    assert generate(100, 2)[37:] != body[37:]


def test_repetition_is_counted() -> None:
    assert list(strings(b"line\r\n" * 40 + b"word " * 240)) == ['"line\\r\\n" * 40', f'"{"word " * 24}" * 10']
