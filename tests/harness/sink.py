"""The outside world as a mail server: takes every message and keeps it."""

from __future__ import annotations

import re
import threading

from tests.harness.delivery import Delivery
from tests.harness.server import Connection, Server

_PATH = re.compile(r"<([^>]*)>")


class SmtpSink(Server):
    """An SMTP server that accepts everything, save what ``answers`` says.

    ``answers`` maps a verb ("MAIL", "RCPT", "DATA", or "END" for the message
    itself) to the reply to give instead, without its line end.
    """

    def __init__(self) -> None:
        super().__init__()
        self.answers: dict[str, str] = {}
        self._received: list[Delivery] = []
        self._guard = threading.Lock()

    def deliveries(self, recipient: str = "") -> list[Delivery]:
        """What has arrived, one entry a recipient, oldest first; for *recipient* alone where given."""
        with self._guard:
            return [each for each in self._received if recipient in ("", each.recipient)]

    def take(self) -> list[Delivery]:
        """What has arrived, and is not kept any longer."""
        with self._guard:
            taken, self._received = self._received, []
        return taken

    def handle(self, connection: Connection) -> None:
        """One SMTP session (RFC 5321), as far as Postfix needs it."""
        sender, recipients = "", list[str]()
        connection.send(b"220 sink ESMTP\r\n")
        while True:
            line = connection.line().decode("utf-8", "replace").rstrip("\r\n")
            verb = line[:4].upper()
            reply = self.answers.get(verb, "250 2.0.0 Ok")
            if verb == "EHLO":
                reply = "250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SMTPUTF8"
            elif verb == "MAIL":
                sender, recipients = _path(line), []
            elif verb == "RCPT" and reply.startswith("2"):
                recipients.append(_path(line))
            elif verb == "DATA" and not self.answers.get(verb):
                connection.send(b"354 Go on\r\n")
                octets = connection.data()
                reply = self.answers.get("END", "250 2.0.0 Kept")
                if reply.startswith("2"):
                    with self._guard:
                        self._received += [Delivery(each, sender, octets) for each in recipients]
            elif verb == "QUIT":
                connection.send(b"221 2.0.0 Bye\r\n")
                return
            connection.send(f"{reply}\r\n".encode())


def _path(line: str) -> str:
    found = _PATH.search(line)
    return found[1] if found else ""
