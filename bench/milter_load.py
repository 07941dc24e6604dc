"""A client that speaks the milter protocol as Postfix does: one connection a message.

Each message is negotiated anew, goes out in as few writes as the milter's
answer to the offer allows (two, where no step up to the end of the message is
answered), and ends with QUIT once the verdict is there. A milter that answers
more steps is waited for at each of them.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice

from bench.load import LoadError
from milters import mfdef
from tests.harness.milter_client import ALL_ACTIONS, ALL_STEPS, Address, Mail, MilterClient, offer, packet

_OFFER = offer(6, ALL_ACTIONS, ALL_STEPS)
_QUIT = packet(mfdef.SMFIC_QUIT)
_FINAL = frozenset(b"acdrsty")
_ACCEPTED = frozenset(b"ac")
_SKIP = ord("s")
_CONTINUE = ord("c")
_TIMEOUT = 60.0
_LENGTH = struct.Struct("!I")


@dataclass(frozen=True, slots=True)
class Exchange:
    """One write, and whether a reply follows; ``stage`` is the step it ends with."""

    data: bytes
    stage: str
    answered: bool


@dataclass(frozen=True)
class Dialogues:
    """Messages as they go to one milter. ``answer`` is what it says to the offer, each time.

    *expected* has to be in what it says to the end of a message, with the
    verdict accept or continue. With *once* no message is sent twice. Where
    ``patience`` is given, a write or a read that takes longer raises
    BlockingIOError.
    """

    address: Address
    answer: bytes
    messages: Sequence[Sequence[Exchange]]
    expected: Sequence[bytes]
    once: bool = False
    patience: int = 0

    @classmethod
    def prepare(
        cls, address: Address, mails: Sequence[Mail], expected: Sequence[bytes], *, once: bool = False
    ) -> Dialogues:
        """Negotiate once, and write down what is to be said. Raises OSError."""
        with MilterClient(address, timeout=_TIMEOUT) as client:
            client.quit()
            script = client.script
            messages = [_exchanges(script.steps(mail, new_session=True)) for mail in mails]
            agreed = client.negotiated
        with socket.socket(_family(address)) as other:
            other.settimeout(_TIMEOUT)
            other.connect(address)
            other.sendall(_OFFER)
            answer = _read_packet(other)
            other.sendall(_QUIT)
        if struct.unpack_from("!III", answer, 5) != (agreed.version, agreed.actions, agreed.steps):
            raise LoadError("the milter negotiates now this way, now that")
        return cls(address, answer, messages, expected, once)

    def client(self, number: int, clients: int) -> MilterTalk:
        """A client, which begins at a message of its own."""
        if self.once:
            return MilterTalk(self, iter(self.messages[number::clients]))
        start = number * len(self.messages) // clients
        return MilterTalk(self, islice(cycle(self.messages), start, None))


class MilterTalk:
    """A client: one message at each call, on a connection of its own."""

    def __init__(self, dialogues: Dialogues, messages: Iterator[Sequence[Exchange]]) -> None:
        self._dialogues = dialogues
        self._messages = messages
        self._family = _family(dialogues.address)

    def __call__(self) -> float:
        dialogues = self._dialogues
        answer = dialogues.answer
        message = next(self._messages)
        began = time.perf_counter()
        milter = socket.socket(self._family)
        try:
            if dialogues.patience:
                limit = struct.pack("ll", dialogues.patience, 0)
                milter.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
                milter.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
            milter.connect(dialogues.address)
            milter.sendall(_OFFER)
            told = milter.recv(4096)
            while len(told) < len(answer) and answer.startswith(told):
                told += _some(milter)
            if told != answer:
                raise LoadError(f"the offer was answered by {told!r}")
            reply, skipped = b"", False
            for exchange in message:
                if skipped and exchange.stage == "body":
                    continue
                milter.sendall(exchange.data)
                if exchange.answered:
                    verdict, reply = _read_reply(milter)
                    if verdict == _SKIP and exchange.stage == "body":
                        skipped = True
                    elif verdict != _CONTINUE and not (exchange.stage == "eom" and verdict in _ACCEPTED):
                        raise LoadError(f"{exchange.stage} was answered by {reply[-300:]!r}")
            took = time.perf_counter() - began
            for expected in dialogues.expected:
                if expected not in reply:
                    raise LoadError(f"no {expected!r} in the answer {reply[:1000]!r}")
            milter.sendall(_QUIT)
        finally:
            milter.close()
        return took

    def close(self) -> None:
        """Nothing is left open between two messages."""


def _exchanges(steps: Sequence[tuple[str, bytes, bool]]) -> list[Exchange]:
    """The writes of a message: up to each reply, and up to DATA at the latest."""
    found: list[Exchange] = []
    waiting: list[bytes] = []
    before = {"connect", "helo", "mail", "rcpt", "data"}
    for number, (stage, data, answered) in enumerate(steps):
        waiting.append(data)
        following = steps[number + 1][0] if number + 1 < len(steps) else ""
        if answered or (stage in before and following not in before):
            found.append(Exchange(b"".join(waiting), stage, answered))
            waiting = []
    return found


def _family(address: Address) -> socket.AddressFamily:
    return socket.AF_UNIX if isinstance(address, str) else socket.AF_INET


def _some(milter: socket.socket) -> bytes:
    data = milter.recv(65536)
    if not data:
        raise LoadError("the milter closed the connection")
    return data


def _read_packet(milter: socket.socket) -> bytes:
    data = _some(milter)
    while len(data) < 4 or len(data) < 4 + _LENGTH.unpack_from(data)[0]:
        data += _some(milter)
    return data


def _read_reply(milter: socket.socket) -> tuple[int, bytes]:
    """All packets up to the one that ends a step: that one's letter, and their octets."""
    data = milter.recv(65536)
    position = 0
    while True:
        if len(data) >= position + 5:
            end = position + 4 + _LENGTH.unpack_from(data, position)[0]
            if len(data) >= end:
                command = data[position + 4]
                if command in _FINAL:
                    if len(data) > end:
                        raise LoadError(f"octets behind the reply {data!r}")
                    return command, data
                position = end
                continue
        data += _some(milter)
