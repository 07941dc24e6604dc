"""A milter client that behaves as Postfix 3.7 does: the MTA's side of the dialogue, for tests and measurements.

It offers version 6, all actions and all steps; puts packets that need no reply
into one write with those that do; keeps one connection for several messages;
and applies what the milter does to the message as Postfix would. ``raw`` and
``read_packet`` are for saying what no MTA would say.

    with MilterClient(("127.0.0.1", 8891)) as client:
        result = client.send(Mail(headers=[(b"From", b" a@example.nl")], body=b"Hello\\r\\n"))
        assert result.disposition == "accept"
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from milters import mfdef
from tests.harness.lasting import Closeable
from tests.harness.waiting import PATIENCE

ALL_ACTIONS = 0x1FF
ALL_STEPS = 0x1FFFFF
OWN_RECEIVED = (b"Received", b" by the MTA itself")
"""The field that the MTA puts on top and does not show."""

_FINAL = {
    b"a": "accept",
    b"c": "continue",
    b"d": "discard",
    b"r": "reject",
    b"s": "skip",
    b"t": "tempfail",
    b"y": "replycode",
}
_STAGE_NAMES = {number: name for name, number in mfdef.STAGES.items()}

Address = str | tuple[str, int]
Header = tuple[bytes, bytes]


class ClientError(Exception):
    """The milter broke the protocol, or closed the connection."""


@dataclass
class Mail:
    """One message and what SMTP says around it.

    Header values are what follows the colon, folds as a bare LF. ``macros``
    are by stage and bare name, and come on top of those Postfix would send.
    An empty ``client_address`` is a client without one; ``chunk`` is the size
    of the body's chunks.
    """

    headers: Sequence[Header] = ()
    body: bytes = b""
    mail_from: bytes = b"sender@example.nl"
    recipients: Sequence[bytes] = (b"recipient@example.org",)
    client_name: bytes = b"client.example.nl"
    client_address: str = "192.0.2.10"
    client_port: int = 40000
    helo: bytes = b"client.example.nl"
    queue_id: str = "4GATEPOST1z"
    macros: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    chunk: int = 65535


@dataclass
class Result:
    """What came of a message.

    ``disposition``: accept, reject, tempfail, discard or replycode (``reply``
    is then the SMTP reply). ``stage``: where it was decided. ``changes``: the
    milter's actions in order, as ("insert", position, name, value), ("change",
    index, name, value) or ("add", name, value). ``delivered``: the header with
    those made, the MTA's own Received in its place. ``skipped``: the milter
    wanted no more of the body. ``progress``: how often it asked for patience.
    """

    disposition: str = "accept"
    stage: str = "eom"
    reply: str = ""
    changes: list[tuple[Any, ...]] = field(default_factory=list)
    quarantine: bytes | None = None
    delivered: list[Header] = field(default_factory=list)
    skipped: bool = False
    progress: int = 0

    @property
    def headers(self) -> list[Header]:
        """The header as delivered, without the MTA's own field."""
        return [header for header in self.delivered if header is not OWN_RECEIVED]

    def values(self, name: bytes) -> list[bytes]:
        """The delivered fields of that name, topmost first."""
        return [value for other, value in self.headers if other.lower() == name.lower()]


def packet(command: int | bytes, payload: bytes = b"") -> bytes:
    """One packet."""
    letter = bytes([command]) if isinstance(command, int) else command
    return struct.pack("!I", len(payload) + 1) + letter + payload


def macros_packet(command: int, macros: Mapping[str, str]) -> bytes:
    """SMFIC_MACRO for *command*."""
    payload = bytes([command])
    for name, value in macros.items():
        braced = name if len(name) == 1 else f"{{{name}}}"
        payload += braced.encode() + b"\0" + value.encode("utf-8", "surrogateescape") + b"\0"
    return packet(mfdef.SMFIC_MACRO, payload)


def offer(version: int = 6, actions: int = ALL_ACTIONS, steps: int = ALL_STEPS) -> bytes:
    """SMFIC_OPTNEG, as the MTA sends it."""
    return packet(mfdef.SMFIC_OPTNEG, struct.pack("!III", version, actions, steps))


def connect_payload(mail: Mail) -> bytes:
    """SMFIC_CONNECT's payload."""
    if not mail.client_address:
        return mail.client_name + b"\0U"
    family = b"6" if ":" in mail.client_address else b"4"
    port = struct.pack("!H", mail.client_port)
    return mail.client_name + b"\0" + family + port + mail.client_address.encode() + b"\0"


class Negotiated:
    """The milter's answer to an offer: version, actions, steps, and the macros it asks for by stage."""

    def __init__(self, payload: bytes) -> None:
        self.version, self.actions, self.steps = struct.unpack("!III", payload[:12])
        self.macros: dict[str, list[str]] = {}
        rest = payload[12:]
        while len(rest) > 4:
            stage = struct.unpack("!I", rest[:4])[0]
            names, _, rest = rest[4:].partition(b"\0")
            self.macros[_STAGE_NAMES[stage]] = names.decode().split()

    def asks_for(self, stage: str, name: str) -> bool:
        """Whether the MTA is to send this macro at this stage."""
        if stage not in self.macros:
            return True
        return (name if len(name) == 1 else f"{{{name}}}") in self.macros[stage]


class Script:
    """The packets of a session as Postfix would send them to a milter that negotiated so. No I/O."""

    def __init__(self, negotiated: Negotiated) -> None:
        self.negotiated = negotiated

    def awaits(self, no_reply: int) -> bool:
        """Whether a step is answered, given its SMFIP_NR_* bit."""
        return not self.negotiated.steps & no_reply

    def sends(self, leave_out: int) -> bool:
        """Whether a step is sent, given its SMFIP_NO* bit."""
        return not self.negotiated.steps & leave_out

    def macros(self, command: int, stage: str, mail: Mail, macros: Mapping[str, str]) -> bytes:
        """The macros ahead of a step, as far as the milter asked for them."""
        together = {**macros, **mail.macros.get(stage, {})}
        wanted = {n: v for n, v in together.items() if self.negotiated.asks_for(stage, n)}
        return macros_packet(command, wanted) if wanted else b""

    def header(self, header: Header) -> bytes:
        """One header field; Postfix eats a space unless told not to."""
        name, value = header
        if self.sends(mfdef.SMFIP_HDR_LEADSPC) and value[:1] == b" ":
            value = value[1:]
        return packet(mfdef.SMFIC_HEADER, name + b"\0" + value + b"\0")

    def steps(self, mail: Mail, new_session: bool) -> list[tuple[str, bytes, bool]]:
        """The whole dialogue for one message: (stage, packets, whether the milter answers)."""
        steps: list[tuple[str, bytes, bool]] = []

        def step(
            stage: str, command: int, payload: bytes, macros: Mapping[str, str], no: int, nr: int
        ) -> None:
            if not no or self.sends(no):
                data = self.macros(command, stage, mail, macros) + packet(command, payload)
                steps.append((stage, data, self.awaits(nr)))

        queue_id = {"i": mail.queue_id}
        if new_session:
            first = {"j": "mx.example.org", "v": "Postfix 3.7.11", "daemon_name": "mx.example.org"}
            payload = connect_payload(mail)
            step(
                "connect",
                mfdef.SMFIC_CONNECT,
                payload,
                first,
                mfdef.SMFIP_NOCONNECT,
                mfdef.SMFIP_NR_CONN,
            )
            step("helo", mfdef.SMFIC_HELO, mail.helo + b"\0", {}, mfdef.SMFIP_NOHELO, mfdef.SMFIP_NR_HELO)
        sender = b"<" + mail.mail_from + b">\0"
        macros = {"mail_addr": mail.mail_from.decode("utf-8", "surrogateescape")}
        step("mail", mfdef.SMFIC_MAIL, sender, macros, mfdef.SMFIP_NOMAIL, mfdef.SMFIP_NR_MAIL)
        for number, recipient in enumerate(mail.recipients):
            macros = {"rcpt_addr": recipient.decode("utf-8", "surrogateescape")}
            if number:  # The queue id is there once a recipient has been accepted.
                macros |= queue_id
            payload = b"<" + recipient + b">\0"
            step("rcpt", mfdef.SMFIC_RCPT, payload, macros, mfdef.SMFIP_NORCPT, mfdef.SMFIP_NR_RCPT)
        step("data", mfdef.SMFIC_DATA, b"", queue_id, mfdef.SMFIP_NODATA, mfdef.SMFIP_NR_DATA)
        if self.sends(mfdef.SMFIP_NOHDRS):
            answers = self.awaits(mfdef.SMFIP_NR_HDR)
            steps.extend(("header", self.header(header), answers) for header in mail.headers)
        step("eoh", mfdef.SMFIC_EOH, b"", queue_id, mfdef.SMFIP_NOEOH, mfdef.SMFIP_NR_EOH)
        if self.sends(mfdef.SMFIP_NOBODY):
            answers = self.awaits(mfdef.SMFIP_NR_BODY)
            for start in range(0, len(mail.body), mail.chunk):
                chunk = packet(mfdef.SMFIC_BODY, mail.body[start : start + mail.chunk])
                steps.append(("body", chunk, answers))
        step("eom", mfdef.SMFIC_BODYEOB, b"", queue_id, 0, 0)
        return steps


class MilterClient(Closeable):
    """One connection to a milter at *address*: (host, port), or the path of a unix socket."""

    def __init__(
        self,
        address: Address,
        *,
        version: int = 6,
        actions: int = ALL_ACTIONS,
        steps: int = ALL_STEPS,
        timeout: float = PATIENCE,
        negotiate: bool = True,
    ) -> None:
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        if not isinstance(address, str) and ":" in address[0]:
            family = socket.AF_INET6
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        self._received = bytearray()
        self._in_session = False
        self.writes = 0
        try:
            self.socket.connect(address)
            if negotiate:
                self.negotiate(version, actions, steps)
        except BaseException:
            self.socket.close()
            raise

    def negotiate(self, version: int = 6, actions: int = ALL_ACTIONS, steps: int = ALL_STEPS) -> Negotiated:
        """Make the offer and take the answer, which is checked against it."""
        self.raw(offer(version, actions, steps))
        command, payload = self.read_packet()
        if command != b"O":
            raise ClientError(f"the offer was answered by {command!r}")
        self.negotiated = Negotiated(payload)
        if (
            not 2 <= self.negotiated.version <= version
            or self.negotiated.actions & ~actions
            or self.negotiated.steps & ~steps
        ):
            raise ClientError("the milter asks for what was not offered")
        self.script = Script(self.negotiated)
        return self.negotiated

    def send(self, mail: Mail, before: Callable[[str], None] | None = None) -> Result:
        """One message, from wherever the session stands to the milter's verdict.

        *before* is called with the stage ahead of each step, all packets so far then written.
        """
        result = Result()
        waiting = bytearray()
        steps = self.script.steps(mail, not self._in_session)
        self._in_session = True
        for stage, data, answered in steps:
            if result.skipped and stage == "body":
                continue
            if before is not None:
                self.raw(bytes(waiting))
                waiting.clear()
                before(stage)
            waiting += data
            if not answered:
                continue
            self.raw(bytes(waiting))
            waiting.clear()
            what = self._final(result, stage)
            if what == "skip" and stage == "body":
                result.skipped = True
            elif what == "accept" or (stage == "eom" and what == "continue"):
                result.stage = stage
                break
            elif what != "continue":
                result.disposition, result.stage = what, stage
                break
        result.delivered = self._apply(mail.headers, result.changes)
        return result

    def abort(self) -> None:
        """The SMTP client has given up its message."""
        self.raw(packet(mfdef.SMFIC_ABORT))

    def quit(self) -> None:
        """The SMTP session is over."""
        self.raw(packet(mfdef.SMFIC_QUIT))

    def close(self) -> None:
        """Close the connection, with no words."""
        self.socket.close()

    def raw(self, data: bytes) -> None:
        """Write octets as they are, in one write."""
        if data:
            self.writes += 1
            self.socket.sendall(data)

    def read_packet(self) -> tuple[bytes, bytes]:
        """The next packet: command and payload. ClientError when the connection ends instead."""
        (length,) = struct.unpack("!I", self._read(4))
        if not 0 < length < 1 << 26:
            raise ClientError(f"packet of {length} octets")
        data = self._read(length)
        return data[:1], data[1:]

    def at_end(self) -> bool:
        """Read on: True when the milter has closed the connection, False when it says something."""
        try:
            return not self._received and not self.socket.recv(1)
        except ConnectionError:
            return True

    def _read(self, count: int) -> bytes:
        while len(self._received) < count:
            try:
                data = self.socket.recv(65536)
            except ConnectionError as error:
                raise ClientError("the connection broke") from error
            if not data:
                raise ClientError("the milter closed the connection")
            self._received += data
        taken = bytes(self._received[:count])
        del self._received[:count]
        return taken

    def _final(self, result: Result, stage: str) -> str:
        """Read up to the reply that ends a step."""
        while True:
            command, payload = self.read_packet()
            if command == b"p":
                result.progress += 1
            elif command in _FINAL:
                if command == b"y":
                    result.reply = payload.rstrip(b"\0").replace(b"%%", b"%").decode()
                return _FINAL[command]
            elif stage != "eom":
                raise ClientError(f"{command!r} at {stage}")
            else:
                self._action(result, command, payload)

    def _action(self, result: Result, command: bytes, payload: bytes) -> None:
        granted = self.negotiated.actions
        if command == b"q":
            needed = mfdef.SMFIF_QUARANTINE
            result.quarantine = payload.rstrip(b"\0")
        elif command == b"h":
            needed = mfdef.SMFIF_ADDHDRS
            result.changes.append(("add", *self._field(payload)))
        elif command == b"i":
            needed = mfdef.SMFIF_ADDHDRS
            result.changes.append(("insert", struct.unpack("!I", payload[:4])[0], *self._field(payload[4:])))
        elif command == b"m":
            needed = mfdef.SMFIF_CHGHDRS
            result.changes.append(("change", struct.unpack("!I", payload[:4])[0], *self._field(payload[4:])))
        else:
            raise ClientError(f"action {command!r}")
        if not granted & needed:
            raise ClientError(f"action {command!r} was not agreed on")

    @staticmethod
    def _field(payload: bytes) -> Header:
        name, value, rest = payload.split(b"\0")
        if rest:
            raise ClientError("octets behind a header value")
        return name, value

    def _apply(self, headers: Sequence[Header], changes: Sequence[tuple[Any, ...]]) -> list[Header]:
        """The header with *changes* made, as Postfix's cleanup does it."""
        space = b"" if self.negotiated.steps & mfdef.SMFIP_HDR_LEADSPC else b" "
        fields = [OWN_RECEIVED, *headers]
        for kind, *rest in changes:
            if kind == "insert":
                # The position counts the message as delivered: 0 is above the MTA's own Received.
                position, name, value = rest
                fields.insert(position, (name, space + value))
            elif kind == "add":
                name, value = rest
                fields.append((name, space + value))
            else:
                # The index counts the fields of that name in the message as shown.
                index, name, value = rest
                same = [
                    place
                    for place, one in enumerate(fields)
                    if one is not OWN_RECEIVED and one[0].lower() == name.lower()
                ]
                if index <= len(same):
                    place = same[max(index, 1) - 1]
                    fields[place : place + 1] = [(fields[place][0], space + value)] if value else []
                elif value:
                    fields.append((name, space + value))
        return fields
