"""Playing the MTA: what is said to a daemon that has changed its mind, and what its answers come to."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from gatepost.recording.events import End, Left, Side
from milters.protocol import PacketReader, packet
from milters.recording.answers import Answer, Listener, differences, mask, recorded
from milters.recording.events import Connection, Packet, Recording
from milters.recording.manners import Manners
from milters.recording.parser import parse
from milters.recording.player import play
from milters.recording.words import COMMAND_NAMES, COMMANDS, STEPS, flags
from milters.recording.writer import write

RECORDED = """gatepost session 1

open
> OPTNEG 6
    actions ADDHDRS CHGHDRS
    steps NOCONNECT NOHELO NOMAIL NORCPT NOHDRS NOEOH NR_HDR NR_CONN NR_HELO NR_MAIL NR_RCPT NR_EOH NR_BODY
    SKIP HDR_LEADSPC
< OPTNEG 6
    actions ADDHDRS CHGHDRS
    steps NR_CONN NR_HELO NR_MAIL NR_RCPT NR_HDR NR_EOH NR_BODY HDR_LEADSPC
    macros ENVFROM "{auth_authen} {mail_addr}"
> CONNECT "x" inet 1 "192.0.2.1"
+ HELO "x"
+ MACRO MAIL {auth_authen}="anna" {mail_addr}="a@b"
+ MAIL "<a@b>"
+ RCPT "<c@d>"
+ RCPT "<e@f>"
> HEADER "From" " a@b"
+ HEADER "To" "\\tc@d"
+ HEADER "X" ""
+ EOH
+ BODY "one"
+ BODY "two"
+ BODYEOB
< ACCEPT
> ABORT
+ MACRO MAIL {auth_authen}="anna"
+ MAIL "<g@h>"
+ RCPT "<i@j>"
+ BODYEOB
< INSHEADER 0 "X" " y"
+ ACCEPT
> QUIT
> close
"""
ALL_NO_REPLY = "NR_CONN NR_HELO NR_MAIL NR_RCPT NR_HDR NR_EOH NR_BODY HDR_LEADSPC"


def answer(text: str) -> bytes:
    """A daemon's packets, written as in a session file."""
    events = parse(f"gatepost session 1\nopen\n{text}").connections[0].events
    return b"".join(packet(event.command, event.payload) for event in events if isinstance(event, Packet))


class FakeDaemon:
    """Answers each command as told. ``writes`` are the commands it was sent, a list for each write."""

    def __init__(self, steps: str, answers: dict[str, Sequence[str]]) -> None:
        negotiated = f"< OPTNEG 6\n    actions ADDHDRS CHGHDRS\n    {steps}\n"
        self.writes: list[list[str]] = []
        self.payloads: list[tuple[str, bytes]] = []
        self.end: End | None = None
        self._answers = {name: list(some) for name, some in answers.items()} | {"OPTNEG": [negotiated]}
        self._reader = PacketReader(1 << 20)
        self._out: list[tuple[int, bytes]] = []
        self._left = False

    async def send(self, octets: bytes) -> None:
        names = []
        for command, payload in self._reader.feed(octets):
            name = COMMAND_NAMES[Side.MTA][command]
            names.append(name)
            self.payloads.append((name, payload))
            if self._answers.get(name):
                said = self._answers[name].pop(0)
                if said == "leave":
                    self._left = True
                else:
                    self._out += PacketReader(1 << 20).feed(answer(said))
        self.writes.append(names)

    async def receive(self) -> tuple[int, bytes] | None:
        if self._out:
            return self._out.pop(0)
        if self._left:
            return None
        raise TimeoutError

    async def leave(self, end: End) -> None:
        self.end = end

    @property
    def said(self) -> list[str]:
        return [name for names in self.writes[1:] for name in names]


def played(steps: str = f"steps {ALL_NO_REPLY}", **answers: Sequence[str]) -> tuple[FakeDaemon, list[Answer]]:
    daemon = FakeDaemon(steps, {"BODYEOB": ["< ACCEPT", '< INSHEADER 0 "X" " y"\n+ ACCEPT'], **answers})
    listener = asyncio.run(play(parse(RECORDED).connections[0], daemon, masked=False))
    return daemon, listener.answers


def then() -> list[Answer]:
    return recorded(parse(RECORDED).connections[0].events, masked=False).answers


FIRST_WRITE = ["CONNECT", "HELO", "MACRO", "MAIL", "RCPT", "RCPT"]


def test_as_it_was() -> None:
    daemon, answers = played(f'steps {ALL_NO_REPLY}\n    macros ENVFROM "{{auth_authen}} {{mail_addr}}"')

    assert answers == then()
    assert [[answer.message, *answer.lines] for answer in answers] == [
        [1, "accept"],
        [2, "accept", 'insert "X" at 0:', '    " y"'],
    ]
    assert daemon.writes == [
        ["OPTNEG"],
        FIRST_WRITE,
        ["HEADER", "HEADER", "HEADER", "EOH", "BODY", "BODY", "BODYEOB"],
        ["ABORT", "MACRO", "MAIL", "RCPT", "BODYEOB"],
        ["QUIT"],
    ]
    assert daemon.end is End.CLOSE


def test_steps_that_are_no_longer_wanted_are_left_out() -> None:
    daemon, answers = played(f"steps NOCONNECT NOHELO NORCPT NOBODY {ALL_NO_REPLY}")

    assert answers == then()
    assert daemon.said == [
        *("MACRO", "MAIL"),
        *("HEADER", "HEADER", "HEADER", "EOH", "BODYEOB"),
        *("ABORT", "MACRO", "MAIL", "BODYEOB", "QUIT"),
    ]


def test_answers_are_awaited_where_they_are_due_now() -> None:
    steps = ALL_NO_REPLY.replace("NR_RCPT ", "").replace("NR_CONN ", "")
    daemon, answers = played(f"steps {steps}", CONNECT=["< CONTINUE"], RCPT=["< CONTINUE"] * 3)

    assert answers == then()
    assert daemon.writes[1:4] == [["CONNECT"], ["HELO", "MACRO", "MAIL", "RCPT"], ["RCPT"]]


def test_an_answer_that_never_comes() -> None:
    daemon, answers = played(f"steps {ALL_NO_REPLY.replace('NR_MAIL ', '')}")

    assert answers == [Answer(1, "MAIL", ("says nothing",))]
    assert daemon.end is End.RESET


def test_steps_that_were_not_recorded_are_known() -> None:
    then, now = Manners(STEPS["NORCPT"] | STEPS["NOHELO"] | STEPS["NR_HDR"]), Manners(STEPS["NOHELO"])

    assert flags(then.left_out_beyond(now), STEPS) == ["NORCPT"]
    assert now.left_out_beyond(then) == 0


def test_macros_that_nobody_asks_for_are_not_sent() -> None:
    daemon, _ = played(f'steps {ALL_NO_REPLY}\n    macros ENVFROM "{{mail_addr}}"')

    assert [payload for name, payload in daemon.payloads if name == "MACRO"] == [b"M{mail_addr}\0a@b\0"]


def test_without_the_leading_space() -> None:
    daemon, answers = played(
        f"steps {ALL_NO_REPLY.replace(' HDR_LEADSPC', '')}",
        BODYEOB=["< ACCEPT", '< INSHEADER 0 "X" "y"\n+ ACCEPT'],
    )

    assert answers == then()
    headers = [payload for name, payload in daemon.payloads if name == "HEADER"]
    assert headers == [b"From\0a@b\0", b"To\0\tc@d\0", b"X\0\0"]


def test_no_more_of_the_body() -> None:
    steps = ALL_NO_REPLY.replace("NR_BODY", "SKIP")
    daemon, answers = played(f"steps {steps}", BODY=["< SKIP"])

    assert answers == then()
    assert daemon.said.count("BODY") == 1


REFUSALS = [
    ("CONNECT", "NR_CONN", "< REJECT", ["CONNECT", "ABORT", "QUIT"]),
    ("CONNECT", "NR_CONN", "< ACCEPT", ["CONNECT", "ABORT", "QUIT"]),
    (
        "MAIL",
        "NR_MAIL",
        "< TEMPFAIL",
        [*FIRST_WRITE[:4], "ABORT", "MACRO", "MAIL", "RCPT", "BODYEOB", "QUIT"],
    ),
    (
        "BODY",
        "NR_BODY",
        '< REPLYCODE "550 no"',
        ["BODY", "ABORT", "MACRO", "MAIL", "RCPT", "BODYEOB", "QUIT"],
    ),
]


@pytest.mark.parametrize(("command", "no_reply", "said", "rest"), REFUSALS)
def test_what_is_refused_early_is_not_sent_on(
    command: str, no_reply: str, said: str, rest: list[str]
) -> None:
    answers = {command: [said, "< CONTINUE"], "BODYEOB": ["< ACCEPT"]}
    daemon, found = played(f"steps {ALL_NO_REPLY.replace(no_reply, '')}", **answers)

    assert daemon.said[-len(rest) :] == rest
    assert found[0].stage == command


def test_a_refused_recipient_is_one_recipient() -> None:
    daemon, answers = played(
        f"steps {ALL_NO_REPLY.replace('NR_RCPT', '')}", RCPT=["< REJECT", "< CONTINUE", "< CONTINUE"]
    )

    assert daemon.said.count("BODYEOB") == 2
    assert [(answer.stage, answer.lines[0]) for answer in answers][:2] == [
        ("RCPT", "reject"),
        ("BODYEOB", "accept"),
    ]


def test_a_daemon_that_leaves() -> None:
    daemon, answers = played(BODYEOB=["leave"])

    assert answers == [Answer(1, "", ("closes the connection",))]
    assert daemon.end is End.CLOSE


def test_a_message_whose_answer_nobody_awaited() -> None:
    connection = parse(RECORDED).connections[0]
    events = connection.events
    end = next(
        place for place, event in enumerate(events) if event[:2] == (Side.MTA, COMMANDS[Side.MTA]["BODYEOB"])
    )
    cut = Connection([*events[: end + 1], Left(Side.MTA, End.RESET)])
    daemon = FakeDaemon(f"steps {ALL_NO_REPLY}", {})

    listener = asyncio.run(play(cut, daemon, masked=False))

    assert listener.answers == []
    assert daemon.end is End.RESET


def verdict(text: str, *, masked: bool = False) -> tuple[str, ...]:
    """What a daemon's packets at the end of a message come to."""
    listener = Listener(masked=masked)
    optneg = f"< OPTNEG 6\n    actions ADDHDRS\n    steps {ALL_NO_REPLY}\n"
    for command, payload in PacketReader(1 << 20).feed(answer(optneg)):
        listener.hear(command, payload)
    listener.step(COMMANDS[Side.MTA]["BODYEOB"])
    for command, payload in PacketReader(1 << 20).feed(answer(text)):
        listener.hear(command, payload)
    [found] = listener.answers
    return found.lines


SAME = [
    ("< CONTINUE", "< ACCEPT"),
    ("< PROGRESS\n+ PROGRESS\n+ REJECT", "< REJECT"),
    (
        '< CHGHEADER 3 "A" ""\n+ CHGHEADER 1 "A" ""\n+ ACCEPT',
        '< CHGHEADER 1 "a" ""\n+ CHGHEADER 2 "A" ""\n+ ACCEPT',
    ),
    (
        '< CHGHEADER 1 "A" ""\n+ CHGHEADER 1 "B" " x"\n+ CHGHEADER 1 "A" " y"\n+ ACCEPT',
        '< CHGHEADER 1 "B" " x"\n+ CHGHEADER 2 "A" " y"\n+ CHGHEADER 1 "A" ""\n+ ACCEPT',
    ),
    (
        '< INSHEADER 0 "A" " b"\n+ CHGHEADER 1 "C" ""\n+ ACCEPT',
        '< CHGHEADER 1 "C" ""\n+ INSHEADER 0 "A" " b"\n+ ACCEPT',
    ),
    ('< REPLBODY "a"\n+ REPLBODY "b"\n+ ACCEPT', '< REPLBODY "ab"\n+ ACCEPT'),
]
DIFFERENT = [
    ("< REJECT", "< TEMPFAIL"),
    ('< REPLYCODE "550 5.7.1 a"', '< REPLYCODE "550 5.7.1 b"'),
    (
        '< CHGHEADER 1 "A" ""\n+ CHGHEADER 1 "A" ""\n+ ACCEPT',
        '< CHGHEADER 1 "A" ""\n+ CHGHEADER 3 "A" ""\n+ ACCEPT',
    ),
    (
        '< INSHEADER 0 "A" " b"\n+ INSHEADER 0 "C" " d"\n+ ACCEPT',
        '< INSHEADER 0 "C" " d"\n+ INSHEADER 0 "A" " b"\n+ ACCEPT',
    ),
    ('< INSHEADER 0 "A" " b"\n+ ACCEPT', '< INSHEADER 1 "A" " b"\n+ ACCEPT'),
    ('< INSHEADER 0 "A" " b"\n+ ACCEPT', '< ADDHEADER "A" " b"\n+ ACCEPT'),
    ('< QUARANTINE "a"\n+ ACCEPT', "< ACCEPT"),
    ('< ADDRCPT "<a@b>"\n+ ACCEPT', '< DELRCPT "<a@b>"\n+ ACCEPT'),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_answers_that_mean_the_same(one: str, other: str) -> None:
    assert verdict(one) == verdict(other)


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_answers_that_do_not(one: str, other: str) -> None:
    assert verdict(one) != verdict(other)


def test_a_malformed_action_is_shown_as_it_is() -> None:
    assert verdict('< INSHEADER payload "\\x00"\n+ ACCEPT') == ("accept", 'says "i\\x00"')


MASKED = [
    (
        b"DKIM-Signature",
        b" v=1; t=17; x=18; bh=Yt=9; h=t:x;\n\tb=abc\n\t def",
        b" v=1; t=...; x=...; bh=Yt=9; h=t:x;\n\tb=...",
    ),
    (b"dkim-signature", b" b=abc; bh=x; at=5", b" b=...; bh=x; at=5"),
    (b"ARC-Seal", b"t=1; cv=none; b=xx", b"t=...; cv=none; b=..."),
    (b"Authentication-Results", b" x; none t=5; b=1", b" x; none t=5; b=1"),
    (
        b"Authentication-Results",
        b" x; none\n\t(gatepost-seal v1 t=1795255200 m=b_9j7PdggkPBMfZARRn6yg)",
        b" x; none\n\t(gatepost-seal v1 t=... m=...)",
    ),
]


@pytest.mark.parametrize(("name", "value", "masked"), MASKED)
def test_what_changes_with_time_is_masked(name: bytes, value: bytes, masked: bytes) -> None:
    assert mask(name, value) == masked


def test_differences_are_shown_line_by_line() -> None:
    one = [Answer(1, "BODYEOB", ("accept", 'insert "X" at 0:', '    " y"'))]
    other = [Answer(1, "BODYEOB", ("reject", 'insert "X" at 0:', '    " y"'))]

    assert differences(one, one) == []
    assert differences(one, other) == [
        " message 1, answer to BODYEOB:",
        "-    accept",
        "+    reject",
        '     insert "X" at 0:',
        '         " y"',
    ]


def test_the_recording_used_here_is_a_sound_one() -> None:
    recording = parse(RECORDED)
    assert parse(write(Recording(recording.connections))).connections == recording.connections
