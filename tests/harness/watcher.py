"""A milter that does nothing but write down what it is shown, and answers as told."""

from __future__ import annotations

import struct
from collections.abc import Mapping

from tests.harness.ports import LOOPBACK
from tests.harness.server import Connection, Server

_NEGOTIATE, _ABORT, _QUIT, _QUIT_KEEP, _MACROS = "O", "A", "Q", "K", "D"
_CONTINUE = b"c"


class Watcher(Server):
    """A milter on a free port. ``seen`` holds the command letters of the milter protocol, in order.

    ``answers`` maps a command letter to the reply packet's content (reply code
    and data) where it is not to be "continue": ``{"E": b"r"}`` refuses every
    message at its end.
    """

    def __init__(self, answers: Mapping[str, bytes] | None = None) -> None:
        super().__init__()
        self.milter = f"inet:{LOOPBACK}:{self.port}"
        self.seen: list[str] = []
        self._answers = dict(answers or {})

    def handle(self, connection: Connection) -> None:
        """One milter connection: every step is asked for, and answered."""
        while True:
            (length,) = struct.unpack(">I", connection.read(4))
            packet = connection.read(length)
            command = chr(packet[0])
            if command == _MACROS:
                continue
            self.seen.append(command)
            if command == _QUIT:
                return
            if command in (_ABORT, _QUIT_KEEP):
                continue
            if command == _NEGOTIATE:
                reply = b"O" + struct.pack(">III", 6, 0, 0)
            else:
                reply = self._answers.get(command, _CONTINUE)
            connection.send(struct.pack(">I", len(reply)) + reply)
