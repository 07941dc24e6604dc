"""Whole milter dialogues with the real daemons: dkim-verify, dkim-sign and dmarc, in eight settings.

The input says which daemon, one DNS record that stands at every name it does
not know, and the MTA's packets: well framed ones of any content, or octets as
they come.

- ProtocolError, which ends the connection, and nothing else; nothing raised in a daemon, nothing left under way.
- However the octets are cut, and whether DNS answers at once or later, the same is said.
- What is said is the protocol: one answer to the negotiation, no action that was not granted, at most one verdict
  for each end of a message; no field or reply could be read as two.
- Our own field on a message is one that our reader takes for ours.
"""

from __future__ import annotations

import re
import struct
from functools import cache
from pathlib import Path
from typing import Any

from gatepost.authres.read import read
from gatepost.authres.strip import Ids, claims
from gatepost.config.sections import Limits
from gatepost.log import Logger
from gatepost.metrics import Metrics
from gatepost.recording.events import Side
from milters import mfdef
from milters.dialogue import Dialogue
from milters.protocol import PacketReader, ProtocolError, packet
from milters.recording.events import Packet
from milters.recording.parser import parse
from milters.terms import Terms
from tests.fuzz.scene import Answers, Log, run, scratch
from tests.fuzz.tape import Tape, counted, cut
from tests.fuzz.told import check_told
from tests.sessions.daemons import HERE, NOW, daemon

_DAEMONS = (
    "verify", "verify-strict", "verify-inside", "sign-both", "sign-picky", "dmarc", "dmarc-strict", "dmarc-inside",
)  # fmt: skip
_COMMANDS = bytes((
    mfdef.SMFIC_OPTNEG, mfdef.SMFIC_MACRO, mfdef.SMFIC_CONNECT, mfdef.SMFIC_HELO, mfdef.SMFIC_MAIL,
    mfdef.SMFIC_RCPT, mfdef.SMFIC_DATA, mfdef.SMFIC_HEADER, mfdef.SMFIC_EOH, mfdef.SMFIC_BODY,
    mfdef.SMFIC_BODYEOB, mfdef.SMFIC_ABORT, mfdef.SMFIC_QUIT, mfdef.SMFIC_QUIT_NC, mfdef.SMFIC_UNKNOWN, 0x7A,
))  # fmt: skip
_LIMITS = Limits(packet=8192, header_bytes=6000, header_fields=40, recipients=5)
_IDS = Ids("mail.example.nl", ["mx.example.nl"])

_RAW, _COLD = 1, 2
_TWO_FIELDS = re.compile(rb"\r|\n(?![ \t])")


def _seeds() -> tuple[bytes, ...]:
    """The MTA's side of recorded sessions, one in three of those that are short."""
    seeds: list[bytes] = []
    for number, name in enumerate(_DAEMONS):
        for file in sorted((HERE / name).glob("*.session"))[::3]:
            packets = _mta(file)
            stream = b"".join(
                bytes([_COMMANDS.index(each.command)]) + counted(each.payload) for each in packets
            )
            if len(stream) <= 2500:
                record = b"v=DMARC1; p=reject" if "dmarc" in name else b"v=DKIM1; k=rsa; p="
                seeds.append(bytes([number, len(seeds) % 2 * _COLD]) + counted(record) + b"\1\x60\0" + stream)
    return tuple(seeds)


def _mta(file: Path) -> list[Packet]:
    connection = parse(file.read_text(encoding="utf-8")).connections[0]
    return [each for each in connection.events if isinstance(each, Packet) and each.side is Side.MTA]


SEEDS = _seeds()
WORDS = (
    b"From\0", b"DKIM-Signature\0", b"Authentication-Results\0", b"Sender\0", b"Date\0", b"Message-ID\0", b"List-Id\0",
    b" mail.example.nl; dkim=pass", b"v=1; a=rsa-sha256; d=example.org; s=mail; h=from; bh=AAAA; b=AAAA", b"\0\0\0\6",
    b"192.0.2.10\0", b"127.0.0.1\0", b"{auth_authen}\0", b"i\0", b"v=DKIM1; k=rsa; p=", b"v=DMARC1; p=reject",
    b"v=spf1 ", b"\n\t", b"?utf-8?q?x?=", b"(gatepost-seal v1 t=1795255200 m=", b"<>\0", b"\r\n",
)  # fmt: skip


@cache
def _terms(name: str) -> tuple[Terms, Answers | None]:
    """The daemon called *name*, made once."""

    async def made() -> tuple[Terms, Answers | None]:
        prepared = daemon(name, scratch())
        handler: Any = prepared.serve(Logger(level="error"), Metrics(name), lambda: NOW).handler
        answers = None
        if not name.startswith("sign"):
            answers = handler.tools.verifier.resolver = Answers(handler.tools.verifier.resolver)
        return Terms(handler, _LIMITS, Log(), clock=lambda: 0.0), answers

    return run(made())


def check(data: bytes) -> None:
    tape = Tape(data)
    terms, answers = _terms(_DAEMONS[tape.number(len(_DAEMONS))])
    flags = tape.number(4)
    record = tape.octets()
    places = tape.cuts()
    stream = tape.rest() if flags & _RAW else _framed(tape)
    if answers is not None:
        answers.record, answers.cold, answers.asked = record, False, 0
    said, fault = run(_converse(terms, [stream]))
    if answers is not None:
        answers.cold = bool(flags & _COLD)
    again, other_fault = run(_converse(terms, cut(stream, places)))
    assert other_fault == fault
    # What was said to the octets that hold the fault is lost with the connection.
    assert again.startswith(said) if fault else again == said
    _check_said(again, stream)


def _framed(tape: Tape) -> bytes:
    packets = []
    while tape:
        command = _COMMANDS[tape.number(len(_COMMANDS))]
        packets.append(packet(command, tape.octets()))
    return b"".join(packets)


async def _converse(terms: Terms, chunks: list[bytes]) -> tuple[bytes, bool]:
    """What the daemon says, and whether the peer was found to speak something else."""
    dialogue = Dialogue(terms)
    said = bytearray()
    try:
        for chunk in chunks:
            said += dialogue.feed(chunk)
            while dialogue.pending is not None:
                said += dialogue.resume(await dialogue.pending)
            if dialogue.closed:
                break
    except ProtocolError as error:
        check_told(error)
        return bytes(said), True
    finally:
        dialogue.close()
    return bytes(said), False


def _check_said(said: bytes, stream: bytes) -> None:
    reader = PacketReader(1 << 20)
    packets = reader.feed(said)
    assert not reader.partial
    assert reader.fault is None
    granted = 0
    verdicts = 0
    for command, payload in packets:
        match command:
            case mfdef.SMFIC_OPTNEG:
                assert (command, payload) == packets[0]
                granted = struct.unpack("!III", payload[:12])[1]
            case mfdef.SMFIR_INSHEADER:
                assert granted & mfdef.SMFIF_ADDHDRS
                _check_field(payload[4:])
            case mfdef.SMFIR_CHGHEADER:
                assert granted & mfdef.SMFIF_CHGHDRS
                assert int.from_bytes(payload[:4]) >= 1
                _, value, rest = payload[4:].split(b"\0")
                assert not rest
                assert not _TWO_FIELDS.search(value)
            case mfdef.SMFIR_ADDHEADER:
                assert granted & mfdef.SMFIF_ADDHDRS
                _check_field(payload)
            case mfdef.SMFIR_QUARANTINE:
                assert granted & mfdef.SMFIF_QUARANTINE
                assert payload[:-1].decode("ascii").isprintable()
            case mfdef.SMFIR_REPLYCODE:
                verdicts += 1
                assert re.fullmatch(rb"[45][0-9]{2} [45]\.[0-9.]+ [ -~]+\0", payload)
            case _:
                assert command in (
                    mfdef.SMFIR_CONTINUE, mfdef.SMFIR_SKIP, mfdef.SMFIR_ACCEPT, mfdef.SMFIR_REJECT,
                    mfdef.SMFIR_TEMPFAIL, mfdef.SMFIR_DISCARD,
                )  # fmt: skip
                assert not payload
                verdicts += command not in (mfdef.SMFIR_CONTINUE, mfdef.SMFIR_SKIP)
    assert verdicts <= stream.count(bytes([mfdef.SMFIC_BODYEOB]))


def _check_field(payload: bytes) -> None:
    name, value, rest = payload.split(b"\0")
    assert not rest
    assert name in (b"Authentication-Results", b"DKIM-Signature", b"X-DMARC-Quarantine")
    assert not _TWO_FIELDS.search(value)
    assert max(map(len, value.split(b"\n"))) < 998
    if name == b"Authentication-Results":
        assert b"=?" not in value
        assert claims(value, _IDS)
        read(value)
