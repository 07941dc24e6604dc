"""The asyncio engine's dialogue without a network: order, cuts, garbage, and what is left after each."""

from __future__ import annotations

import asyncio
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatepost.config.sections import Limits
from milters import mfdef
from milters.dialogue import Dialogue
from milters.handler import Needs, Step
from milters.protocol import ACCEPT, CONTINUE, DISCARD, SKIP, TEMPFAIL, ProtocolError
from milters.terms import Terms
from tests.harness.milter_client import ALL_STEPS, Mail, Negotiated, Script, macros_packet, offer, packet
from tests.unit.milters.handlers import ALL, MACROS, ScriptedHandler
from tests.unit.milters.serving import Log, Metrics

C = mfdef


class Talk:
    """A dialogue, and all that belongs to it."""

    def __init__(
        self,
        needs: Needs | None = None,
        steps: int = ALL_STEPS,
        actions: int = 0x1FF,
        negotiate: bool = True,
        limits: Limits | None = None,
        accept_errors: bool = False,
    ) -> None:
        self.handler = ScriptedHandler(needs)
        self.log = Log()
        self.metrics = Metrics()
        terms = Terms(
            self.handler,
            limits or Limits(),
            self.log,
            "accept" if accept_errors else "tempfail",
            self.metrics,
        )
        self.dialogue = Dialogue(terms)
        if negotiate:
            self.agreed = Negotiated(self.dialogue.feed(offer(6, actions, steps))[5:])

    def say(self, *packets: bytes) -> bytes:
        return self.dialogue.feed(b"".join(packets))


def header(name: str, value: str) -> bytes:
    return packet(C.SMFIC_HEADER, f"{name}\0{value}\0".encode())


def subject(what: str) -> bytes:
    return header("Subject", " " + what)


EOH, EOB, ABORT = packet(C.SMFIC_EOH), packet(C.SMFIC_BODYEOB), packet(C.SMFIC_ABORT)
BODY = packet(C.SMFIC_BODY, b"Hello\r\n")
MAIL = packet(C.SMFIC_MAIL, b"<a@x.example>\0")
RCPT = packet(C.SMFIC_RCPT, b"<b@y.example>\0")
CONNECT = packet(C.SMFIC_CONNECT, b"c.example\x004\0\x19192.0.2.1\0")
HELO = packet(C.SMFIC_HELO, b"c.example\0")

DISCARDED = [
    ("plain", [CONNECT, HELO, MAIL, RCPT, subject("discard"), EOH, BODY, EOB]),
    ("nothing but the message", [subject("discard"), EOH, EOB]),
    ("no end of header", [subject("discard"), BODY, EOB]),
    ("no end of header, no body", [subject("discard"), EOB]),
    ("body in the last packet", [subject("discard"), EOH, packet(C.SMFIC_BODYEOB, b"Hello")]),
    ("HELO later", [CONNECT, MAIL, RCPT, HELO, subject("discard"), EOH, EOB]),
    ("two connects", [CONNECT, CONNECT, MAIL, subject("discard"), EOH, EOB]),
    ("a message that never ended", [MAIL, subject("reject"), EOH, BODY, MAIL, subject("discard"), EOH, EOB]),
    ("an aborted message", [MAIL, subject("reject"), EOH, ABORT, MAIL, subject("discard"), EOH, EOB]),
    ("aborts of nothing", [ABORT, ABORT, MAIL, ABORT, subject("discard"), EOH, EOB]),
    ("another session", [CONNECT, MAIL, subject("reject"), packet(C.SMFIC_QUIT_NC), subject("discard"), EOB]),
    ("unknown SMTP command", [packet(C.SMFIC_UNKNOWN, b"FOO\0"), subject("discard"), EOB]),
    ("DATA", [MAIL, RCPT, packet(C.SMFIC_DATA), subject("discard"), EOH, EOB]),
    (
        "macros of no stage in particular",
        [macros_packet(C.SMFIC_HEADER, {"x": "y"}), subject("discard"), EOB],
    ),
]


@pytest.mark.parametrize("packets", [case[1] for case in DISCARDED], ids=[case[0] for case in DISCARDED])
def test_orders_that_come_to_a_verdict(packets: list[bytes]) -> None:
    talk = Talk()
    assert talk.say(*packets) == DISCARD
    assert not talk.dialogue.session.in_message
    assert not talk.log.lines


REFUSED = [
    ("negotiation again", [offer()]),
    ("header after its end", [subject("x"), EOH, subject("y")]),
    ("two ends of the header", [EOH, EOH]),
    ("recipient after the header", [EOH, RCPT]),
    ("a command there is none of", [packet(b"Z")]),
    ("a reply", [packet(b"a")]),
    ("macros of a command there is none of", [packet(C.SMFIC_MACRO, b"Zi\0X\0")]),
    ("no macros at all", [packet(C.SMFIC_MACRO)]),
    ("too many macros", [packet(C.SMFIC_MACRO, b"Mi\0" + b"x" * 70_000 + b"\0")]),
    ("broken macros", [packet(C.SMFIC_MACRO, b"Mi\0"), EOH]),
    ("broken macros at the end", [EOH, packet(C.SMFIC_MACRO, b"Ei\0"), EOB]),
    ("empty packet", [b"\0\0\0\0A"]),
    ("HTTP", [b"GET / HTTP/1.0\r\n\r\n"]),
]


@pytest.mark.parametrize("packets", [case[1] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_what_is_not_the_protocol(packets: list[bytes]) -> None:
    with pytest.raises(ProtocolError):
        Talk().say(*packets)


@pytest.mark.parametrize("first", [MAIL, EOB, ABORT, macros_packet(C.SMFIC_MAIL, {"i": "X"}), subject("x")])
def test_nothing_comes_before_the_negotiation(first: bytes) -> None:
    with pytest.raises(ProtocolError):
        Talk(negotiate=False).say(first)


def test_every_step_is_answered_where_the_mta_wants_that() -> None:
    talk = Talk(steps=0)
    assert talk.say(CONNECT) == CONTINUE
    assert talk.say(HELO, MAIL, RCPT, packet(C.SMFIC_DATA)) == CONTINUE * 4
    assert talk.say(macros_packet(C.SMFIC_EOH, {"i": "X"}), subject("accept"), EOH, BODY) == CONTINUE * 3
    assert talk.say(packet(C.SMFIC_UNKNOWN, b"FOO\0")) == CONTINUE
    assert talk.say(EOB) == ACCEPT


def test_the_body_is_skipped_once_it_is_not_wanted() -> None:
    talk = Talk(Needs(ALL, MACROS, skips_body=True))
    assert talk.say(subject("no-body"), EOH, BODY) == SKIP
    assert talk.say(EOB) == ACCEPT
    assert talk.say(subject("accept"), EOH, BODY) == CONTINUE
    assert talk.say(EOB) == ACCEPT


def test_actions_that_are_not_granted_are_left_out_and_said_once() -> None:
    talk = Talk(actions=C.SMFIF_CHGHDRS)
    for _ in range(3):
        assert talk.say(subject("insert"), EOB) == ACCEPT
        assert talk.say(subject("quarantine"), EOB) == ACCEPT
    assert talk.say(subject("order"), EOB).count(b"X-A\0") == 2
    assert [line[:2] for line in talk.log.lines] == [
        ("warning", "the MTA does not let this milter add header fields")
    ]


def test_missing_spaces_are_put_back() -> None:
    talk = Talk(steps=ALL_STEPS & ~C.SMFIP_HDR_LEADSPC)
    values = {"A": "word", "B": " two", "C": "\tTab", "D": "\n fold", "E": ""}
    answer = talk.say(subject("insert"), *(header(name, value) for name, value in values.items()), EOB)
    assert [value for _, value in talk.handler.messages[0].headers][1:] == [
        b" word",
        b"  two",
        b"\tTab",
        b"\n fold",
        b"",
    ]
    assert b"X-Seen\0one\0" in answer
    assert b"\0 \0" in talk.say(
        subject("empty"), header("X-B", "x"), EOB
    )  # a space, or it would be a deletion


@pytest.mark.parametrize(
    ("limits", "sent", "kept", "oversized"),
    [
        (Limits(header_fields=10), 10, 10, ""),
        (Limits(header_fields=10), 11, 10, "more than 10 header fields"),
        (Limits(header_bytes=100), 10, 10, ""),
        (Limits(header_bytes=100), 11, 10, "more than 100 bytes of header"),
    ],
)
def test_limits_of_the_header(limits: Limits, sent: int, kept: int, oversized: str) -> None:
    talk = Talk(limits=limits)
    # Ten octets a field: name, colon, value.
    assert talk.say(*(header("Name", " abcd") for _ in range(sent)), EOB) == ACCEPT
    message = talk.handler.messages[0]
    assert (len(message.headers), message.oversized) == (kept, oversized)
    assert talk.say(header("Name", " abcd"), EOB) == ACCEPT
    assert talk.handler.messages[1].oversized == ""


def test_a_header_beyond_the_limit_is_forgotten_with_its_session() -> None:
    talk = Talk(limits=Limits(header_bytes=100))
    talk.say(header("Name", " " * 200), CONNECT, MAIL, subject("accept"), EOH, EOB)
    (message,) = talk.handler.messages
    assert (message.oversized, len(message.headers)) == ("", 1)


def test_an_offer_is_agreed_on_once_for_all_connections() -> None:
    talk = Talk()
    other = Dialogue(talk.dialogue._terms)
    assert other.feed(offer()) == Dialogue(talk.dialogue._terms).feed(offer())
    old = Negotiated(Dialogue(talk.dialogue._terms).feed(offer(2, 0x1F, 0x7F))[5:])
    assert (old.version, talk.agreed.version) == (2, 6)
    # What they agreed on is shared, what they say is not.
    other.feed(CONNECT + MAIL + subject("discard"))
    assert talk.say(MAIL, subject("accept"), EOH, EOB) == ACCEPT


def test_what_is_not_needed_is_not_shown() -> None:
    talk = Talk(Needs(Step.MAIL, {}), steps=0)
    talk.say(MAIL, RCPT, subject("accept"), EOH, BODY, EOB)
    assert talk.handler.messages[0].headers == []
    assert talk.handler.messages[0].envelope.recipients == []


def test_macros_by_stage() -> None:
    talk = Talk()
    talk.say(macros_packet(C.SMFIC_CONNECT, {"j": "mx"}), CONNECT)
    talk.say(macros_packet(C.SMFIC_MAIL, {"auth_authen": "jan", "unasked": "x"}), MAIL)
    talk.say(macros_packet(C.SMFIC_DATA, {"i": "early"}), EOH)
    assert talk.handler.messages[0].envelope.macros == {"j": "mx", "auth_authen": "jan", "i": "early"}
    talk.say(macros_packet(C.SMFIC_BODYEOB, {"i": "late"}), EOB)
    assert talk.handler.messages[0].envelope.queue_id == "late"
    talk.say(macros_packet(C.SMFIC_MAIL, {"i": "1"}), macros_packet(C.SMFIC_MAIL, {"j": "2"}), MAIL, EOB)
    assert talk.handler.messages[1].envelope.macros == {"j": "2"}
    talk.say(packet(C.SMFIC_QUIT_NC), macros_packet(C.SMFIC_CONNECT, {"j": "new"}), CONNECT, MAIL, EOB)
    assert talk.handler.messages[2].envelope.macros == {"j": "new"}


@pytest.mark.parametrize("what", ["raise-examine", "raise-body", "raise-finish", "inject-lf", "nothing"])
@pytest.mark.parametrize("accept", [False, True])
def test_errors_are_one_line_and_the_configured_action(what: str, accept: bool) -> None:
    talk = Talk(accept_errors=accept)
    assert talk.say(MAIL, subject(what), EOH, BODY, BODY, EOB) == (ACCEPT if accept else TEMPFAIL)
    assert [line[0] for line in talk.log.lines] == ["error"]
    assert talk.metrics.errors == ["internal"]
    assert talk.say(MAIL, subject("discard"), EOH, EOB) == DISCARD


def test_errors_on_letting_go_stay_inside() -> None:
    talk = Talk()
    talk.say(MAIL, subject("raise-cancel"), EOH, ABORT)
    assert (talk.handler.cancelled, talk.metrics.errors) == (1, ["internal"])
    assert talk.say(subject("discard"), EOB) == DISCARD


def test_messages_are_timed() -> None:
    talk = Talk()
    talk.say(subject("accept"), EOH, EOB, subject("reject"), EOB, MAIL, EOH, ABORT)
    assert len(talk.metrics.message_seconds.observed) == 2


async def _conclude(talk: Talk) -> bytes:
    answer = b""
    while talk.dialogue.pending is not None:
        answer += talk.dialogue.resume(await talk.dialogue.pending)
    return answer


def test_what_comes_while_a_verdict_is_awaited_waits_too() -> None:
    talk = Talk()
    assert talk.say(subject("await"), EOB, subject("await"), EOB, subject("dis")[:-5]) == b""
    assert talk.say(subject("dis")[-5:]) == b""
    assert talk.say(EOB, subject("discard"), EOB) == b""
    assert talk.dialogue.held > 0
    answer = asyncio.run(_conclude(talk))
    assert answer.count(b"X-Seen") == 6
    assert answer.endswith(ACCEPT + DISCARD)


MESSAGES = [
    Mail(headers=[(b"Subject", b" insert"), (b"To", b" x")], body=b"x" * 100, chunk=30),
    Mail(headers=[(b"Subject", b" reply")], mail_from=b"", recipients=[b"a@x.example", b"b@x.example"]),
    Mail(headers=[(b"Subject", b" facts")], body=b"", client_address="2001:db8::1"),
    Mail(headers=[(b"Subject", b" raise-finish")]),
]


def stream(steps: int) -> bytes:
    talk = Talk(steps=steps)
    script = Script(talk.agreed)
    return b"".join(
        data for number, mail in enumerate(MESSAGES) for _, data, _ in script.steps(mail, number == 0)
    )


@pytest.mark.parametrize("steps", [ALL_STEPS, 0])
@given(cuts=st.lists(st.integers(0, 5000), max_size=40))
@settings(max_examples=100)
def test_cuts_make_no_difference(steps: int, cuts: list[int]) -> None:
    whole = stream(steps)
    expected = Talk(steps=steps).say(whole)
    talk, answer, start = Talk(steps=steps), b"", 0
    for end in [*sorted(cut % len(whole) for cut in cuts), len(whole)]:
        answer += talk.say(whole[start:end])
        start = end
    assert answer == expected
    assert talk.handler.examined == len(MESSAGES)


def garbled(command: int, payload: bytes) -> bytes:
    return struct.pack("!I", len(payload) + 1) + bytes([command]) + payload


nonsense = st.one_of(
    st.binary(max_size=60),
    st.lists(
        st.builds(garbled, st.sampled_from(b"ABCDEHKLMNOQRTUXZ"), st.binary(max_size=20)), max_size=6
    ).map(b"".join),
)


@given(st.integers(0, 60), nonsense)
@settings(max_examples=300)
def test_garbage_at_any_point_is_refused_or_ridden_out(stage: int, garbage: bytes) -> None:
    talk = Talk()
    steps = [data for mail in MESSAGES[:2] for _, data, _ in Script(talk.agreed).steps(mail, True)]
    try:
        talk.say(*steps[: stage % len(steps)])
        talk.say(garbage)
    except ProtocolError:
        pass
    talk.dialogue.close()
    assert not talk.dialogue.session.in_message
    assert talk.metrics.errors == []
