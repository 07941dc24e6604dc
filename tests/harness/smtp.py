"""A small SMTP client that sends octets exactly as told, and can stop anywhere (RFC 5321)."""

from __future__ import annotations

import base64
import socket
import ssl
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tests.harness.lasting import Closeable
from tests.harness.ports import LOOPBACK
from tests.harness.waiting import PATIENCE


class Reply(NamedTuple):
    """One reply: the code, and the text of each of its lines."""

    code: int
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """All lines in one."""
        return " ".join(self.lines)

    @property
    def positive(self) -> bool:
        """Whether the server agreed (2yz, 3yz)."""
        return self.code < 400


class RefusedError(Exception):
    """The server said no; ``stage`` is the command, "END" for the reply to the message itself."""

    def __init__(self, stage: str, reply: Reply) -> None:
        super().__init__(f"{stage}: {reply.code} {reply.text}")
        self.stage = stage
        self.reply = reply


class DisconnectedError(Exception):
    """The server closed the connection where a reply was due."""


@dataclass(frozen=True, slots=True)
class Client:
    """Who to be for the server, by Postfix's XCLIENT. An empty name is one that the DNS does not know."""

    address: str
    name: str = ""
    helo: str = "client.example.org"


STRANGER = Client("192.0.2.10", "mx.example.org", "mx.example.org")
"""A server of the outside world."""


class Session(Closeable):
    """One SMTP connection to a port of *host*. Opens with the banner; says nothing by itself.

    It comes from the address *source* where one is given.
    """

    def __init__(
        self, port: int, timeout: float = PATIENCE, *, host: str = LOOPBACK, source: str = ""
    ) -> None:
        self._socket = socket.create_connection((host, port), timeout, (source, 0) if source else None)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rb")
        try:
            self.banner = self.reply()
        except BaseException:
            self.close()
            raise

    def write(self, octets: bytes) -> None:
        """Send octets as they are."""
        self._socket.sendall(octets)

    def reply(self) -> Reply:
        """Read one reply. Raises DisconnectedError where none comes."""
        lines = []
        while True:
            try:
                line = self._file.readline()
            except ConnectionError as error:
                raise DisconnectedError from error
            if not line:
                raise DisconnectedError
            lines.append(line[4:].rstrip(b"\r\n").decode("utf-8", "replace"))
            if line[3:4] != b"-":
                return Reply(int(line[:3]), tuple(lines))

    def command(self, line: str, *, need: bool = False) -> Reply:
        """Send one command and read its reply; with *need*, a refusal raises RefusedError."""
        self.write(line.encode() + b"\r\n")
        reply = self.reply()
        if need and not reply.positive:
            raise RefusedError(line.split()[0].upper(), reply)
        return reply

    def ehlo(self, name: str = "client.example.org") -> Reply:
        """Greet. The reply's lines are the extensions."""
        return self.command(f"EHLO {name}", need=True)

    def become(self, client: Client) -> None:
        """Be another client, by XCLIENT, and greet as that one. Needs smtpd_authorized_xclient_hosts."""
        self.ehlo()
        address = f"IPV6:{client.address}" if ":" in client.address else client.address
        self.command(
            f"XCLIENT NAME={client.name or '[UNAVAILABLE]'} ADDR={address} HELO={client.helo}", need=True
        )
        self.ehlo(client.helo)

    def starttls(self, context: ssl.SSLContext) -> None:
        """Go on under TLS (RFC 3207). What was said before counts no more: greet again."""
        self.command("STARTTLS", need=True)
        self._file.close()
        self._socket = context.wrap_socket(self._socket)
        self._file = self._socket.makefile("rb")

    def login(self, user: str, password: str) -> None:
        """Authenticate by PLAIN (RFC 4616)."""
        response = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
        self.command(f"AUTH PLAIN {response}", need=True)

    def envelope(self, sender: str, recipients: Sequence[str], *parameters: str) -> None:
        """MAIL and RCPT, each answered before the next. As an MTA does, it names all recipients in any case."""
        self.command(" ".join((f"MAIL FROM:<{sender}>", *parameters)), need=True)
        for reply in [self.command(f"RCPT TO:<{recipient}>") for recipient in recipients]:
            if not reply.positive:
                raise RefusedError("RCPT", reply)

    def message(self, octets: bytes) -> Reply:
        """DATA, the message (CRLF line ends, dots are stuffed here) and the final dot; the last reply."""
        self.command("DATA", need=True)
        self.write(stuffed(octets))
        return self.reply()

    def send(self, octets: bytes, sender: str, recipients: Sequence[str], *parameters: str) -> Reply:
        """One whole transaction. Raises RefusedError where any step is refused."""
        self.envelope(sender, recipients, *parameters)
        return self._accepted(self.message(octets))

    def send_pipelined(
        self, octets: bytes, sender: str, recipients: Sequence[str], *parameters: str
    ) -> Reply:
        """As send(), with MAIL, RCPT and DATA in one write (RFC 2920)."""
        commands = [" ".join((f"MAIL FROM:<{sender}>", *parameters))]
        commands += [f"RCPT TO:<{recipient}>" for recipient in recipients]
        commands.append("DATA")
        self.write("".join(f"{command}\r\n" for command in commands).encode())
        replies = [self.reply() for _ in commands]
        for command, reply in zip(commands, replies, strict=True):
            if not reply.positive:
                raise RefusedError(command.split()[0], reply)
        self.write(stuffed(octets))
        return self._accepted(self.reply())

    @staticmethod
    def _accepted(reply: Reply) -> Reply:
        if not reply.positive:
            raise RefusedError("END", reply)
        return reply

    def quit(self) -> None:
        """Leave politely."""
        self.command("QUIT")
        self.close()

    def abort(self) -> None:
        """Vanish with a reset, as a crashed client does."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        """Close without a word."""
        self._file.close()
        self._socket.close()


def stuffed(octets: bytes) -> bytes:
    """A message as it goes over the wire after DATA: dots stuffed, final dot added (RFC 5321 §4.5.2)."""
    if octets.startswith(b"."):
        octets = b"." + octets
    octets = octets.replace(b"\r\n.", b"\r\n..")
    return octets + (b".\r\n" if octets.endswith(b"\r\n") else b"\r\n.\r\n")


def deliver(
    port: int,
    octets: bytes,
    sender: str,
    recipients: Sequence[str],
    *parameters: str,
    client: Client | None = None,
    login: tuple[str, str] | None = None,
) -> Reply:
    """Send one message over a connection of its own, as *client* and with *login* where given.

    Raises RefusedError where any step is refused.
    """
    with Session(port) as session:
        if client is not None:
            session.become(client)
        else:
            session.ehlo()
        if login is not None:
            session.login(*login)
        reply = session.send(octets, sender, recipients, *parameters)
        session.quit()
        return reply
