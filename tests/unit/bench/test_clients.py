"""The clients: what they say to a milter and to a policy service, and what they take for an answer."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench import mails
from bench.endpoint import Endpoint
from bench.engine import server
from bench.load import LoadError
from bench.milter_load import Dialogues
from bench.policy_load import NUMBER, Questions, template
from milters import mfdef
from tests.harness.milter_client import ALL_STEPS
from tests.harness.waiting import PATIENCE, wait_for

PLAIN = [mails.plain("sender.example", number) for number in range(4)]
EVERY_STEP_ANSWERED = 0
ONLY_THE_END_ANSWERED = ALL_STEPS & ~(
    mfdef.SMFIP_NOCONNECT | mfdef.SMFIP_NOHELO | mfdef.SMFIP_NOMAIL | mfdef.SMFIP_NORCPT
    | mfdef.SMFIP_NOHDRS | mfdef.SMFIP_NOEOH | mfdef.SMFIP_NOBODY | mfdef.SMFIP_NODATA
)  # fmt: skip


def packet(letter: bytes, payload: bytes = b"") -> bytes:
    return struct.pack("!I", len(payload) + 1) + letter + payload


class Milter:
    """Answers what it said it would, with ``end`` at the end; notes the lengths of what it reads at a time."""

    def __init__(self, path: Path, steps: int, end: bytes) -> None:
        self.reads: list[bytes] = []
        self._steps, self._end = steps, end
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                self._talk(connection)

    def _talk(self, connection: socket.socket) -> None:
        data = b""
        while read := connection.recv(1 << 20):
            self.reads.append(read)
            data += read
            while len(data) >= 4 and len(data) >= 4 + int.from_bytes(data[:4], "big"):
                length = 4 + int.from_bytes(data[:4], "big")
                letter, data = data[4:5], data[length:]
                if letter == b"O":
                    connection.sendall(packet(b"O", struct.pack("!III", 6, 0x1FF, self._steps)))
                elif letter == b"E":
                    connection.sendall(self._end)
                elif letter == b"Q":
                    return
                elif letter != b"D" and not self._steps:
                    connection.sendall(packet(b"c"))

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(PATIENCE)


@contextmanager
def milter(path: Path, steps: int, end: bytes) -> Iterator[Milter]:
    running = Milter(path, steps, end)
    try:
        yield running
    finally:
        running.close()


def test_what_needs_no_answer_goes_out_in_two_writes(tmp_path: Path) -> None:
    with milter(tmp_path / "m", ONLY_THE_END_ANSWERED, packet(b"h", b"X\0dkim=pass\0") + packet(b"a")):
        dialogues = Dialogues.prepare(str(tmp_path / "m"), PLAIN, [b"dkim=pass"])
        assert [(exchange.stage, exchange.answered) for exchange in dialogues.messages[0]] == [
            ("data", False),
            ("eom", True),
        ]
        talk = dialogues.client(0, 1)
        assert 0 < talk() < 10
        assert 0 < talk() < 10


def test_what_is_answered_is_waited_for(tmp_path: Path) -> None:
    with milter(tmp_path / "m", EVERY_STEP_ANSWERED, packet(b"c")) as running:
        dialogues = Dialogues.prepare(str(tmp_path / "m"), PLAIN, [])
        stages = [exchange.stage for exchange in dialogues.messages[0]]
        assert stages == [
            "connect", "helo", "mail", "rcpt", "data", *["header"] * len(PLAIN[0].headers), "eoh", "body", "eom",
        ]  # fmt: skip
        assert all(exchange.answered for exchange in dialogues.messages[0])
        wait_for(lambda: running.reads.count(packet(b"Q")) == 2, "the end of both connections so far")
        running.reads.clear()
        dialogues.client(0, 1)()
        # The offer, a write for each step, and QUIT.
        assert len(running.reads) in (len(stages) + 1, len(stages) + 2)


@pytest.mark.parametrize(
    "end",
    [
        packet(b"a"),
        packet(b"h", b"X\0dkim=fail\0") + packet(b"a"),
        packet(b"h", b"X\0dkim=pass\0") + packet(b"t"),
        packet(b"h", b"X\0dkim=pass\0") + packet(b"y", b"550 no\0"),
        packet(b"h", b"X\0dkim=pass\0") + packet(b"a") + packet(b"a"),
    ],
)
def test_no_other_answer_will_do(tmp_path: Path, end: bytes) -> None:
    with milter(tmp_path / "m", ONLY_THE_END_ANSWERED, end):
        talk = Dialogues.prepare(str(tmp_path / "m"), PLAIN, [b"dkim=pass"]).client(0, 1)
        with pytest.raises(LoadError):
            talk()


def test_what_is_sent_once_is_shared_out(tmp_path: Path) -> None:
    with milter(tmp_path / "m", ONLY_THE_END_ANSWERED, packet(b"a")):
        dialogues = Dialogues.prepare(str(tmp_path / "m"), PLAIN, [], once=True)
        for number, pieces in ((0, 2), (1, 1), (2, 1)):
            talk = dialogues.client(number, 3)
            for _ in range(pieces):
                talk()
            with pytest.raises(StopIteration):
                talk()


def test_a_silent_milter_is_left_by_the_impatient(tmp_path: Path) -> None:
    with milter(tmp_path / "m", ONLY_THE_END_ANSWERED, b""):
        found = Dialogues.prepare(str(tmp_path / "m"), PLAIN, [])
        impatient = Dialogues(found.address, found.answer, found.messages, [], patience=1)
        with pytest.raises(BlockingIOError):
            impatient.client(0, 1)()


def test_a_policy_request_is_always_a_new_one(tmp_path: Path) -> None:
    with server(tmp_path, "policy", Endpoint(tmp_path / "p")) as running:
        templates = [template(sender=f"a{NUMBER}@d{NUMBER}.example")]
        assert b"sender=a7@d7.example\n" in b"7".join(templates[0])
        assert b"instance=bench.7.1\n" in b"7".join(templates[0])
        for per_connection in (0, 1, 2):
            talk = Questions(running.address, templates, b"DUNNO", per_connection).client(0, 1)
            assert all(0 < talk() < 10 for _ in range(5))
            talk.close()
        talk = Questions(running.address, templates, b"PREPEND", 1).client(0, 1)
        with pytest.raises(LoadError, match="no b'PREPEND'"):
            talk()
        talk.close()
