"""A content filter that filters nothing: where Amavis would stand, after or before the queue.

It takes each message whole, as Amavis does, and then hands it on; everything
that the next server says travels back as its own reply, refusals included.
"""

from __future__ import annotations

import socket
from collections.abc import Callable

from tests.harness.ports import LOOPBACK
from tests.harness.server import Connection, Hangup, Server
from tests.harness.smtp import stuffed

# Extensions that the lock step below could not honour, whatever the next server offers.
_HIDDEN = (b"PIPELINING", b"CHUNKING", b"STARTTLS", b"AUTH", b"XCLIENT", b"ETRN", b"BDAT")


class PassThrough(Server):
    """Listens on ``port`` and sends on to *target*, one connection for one.

    *change* may rewrite a message on its way (as a filter that adds a
    ``Received`` or marks spam would); without it the octets stay as they are.
    """

    def __init__(self, target: int, port: int = 0, change: Callable[[bytes], bytes] | None = None) -> None:
        super().__init__(port)
        self.target = target
        self.messages = 0
        self._change = change

    def handle(self, connection: Connection) -> None:
        """Relay one SMTP session in lock step."""
        try:
            onward = Connection(socket.create_connection((LOOPBACK, self.target), 30))
        except OSError:
            connection.send(b"421 4.3.2 The next server is not there\r\n")
            return
        try:
            self._relay(connection, onward)
        except Hangup:
            onward.break_off()
            raise
        finally:
            onward.close()

    def _relay(self, connection: Connection, onward: Connection) -> None:
        connection.send(_reply(onward))
        while True:
            line = connection.line()
            verb = line[:4].upper()
            onward.send(line)
            reply = _reply(onward)
            if verb == b"EHLO":
                reply = _without_hidden(reply)
            connection.send(reply)
            if verb == b"DATA" and reply.startswith(b"354"):
                octets = connection.data()
                if self._change is not None:
                    octets = self._change(octets)
                self.messages += 1
                onward.send(stuffed(octets))
                connection.send(_reply(onward))
            elif verb == b"QUIT":
                return


def _reply(server: Connection) -> bytes:
    lines = [server.line()]
    while lines[-1][3:4] == b"-":
        lines.append(server.line())
    return b"".join(lines)


def _without_hidden(reply: bytes) -> bytes:
    lines = [line for line in reply.splitlines() if not line[4:].upper().startswith(_HIDDEN)]
    texts = [line[4:] for line in lines]
    return b"".join(b"250-%b\r\n" % text for text in texts[:-1]) + b"250 %b\r\n" % texts[-1]
