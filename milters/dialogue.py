"""The wire's side of a session: packets in, replies out. No I/O.

A :class:`Dialogue` is what the asyncio engine runs on each connection: it is
fed what was read and returns what is to be written. Where a verdict has to be
waited for, ``pending`` holds the awaitable, and what arrives meanwhile is kept
until ``resume`` is called.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from itertools import islice

from gatepost.message import HeaderField
from milters import mfdef
from milters.handler import Verdict
from milters.outcome import encode
from milters.protocol import (
    MAX_MACROS,
    SKIP,
    PacketReader,
    ProtocolError,
    read_connect,
    read_header,
    read_helo,
    read_offer,
    read_path,
)
from milters.session import Session
from milters.terms import Terms

_MACRO_COMMANDS = frozenset(b"CHMRTLNBEU")
_HEADER = mfdef.SMFIC_HEADER


class Dialogue:
    """One connection's packets.

    ``pending`` is what has to be awaited before the dialogue can go on, or
    None. ``closed`` says that the peer has taken its leave.
    """

    __slots__ = (
        "_held",
        "_leading_space",
        "_may_skip",
        "_queue",
        "_reader",
        "_replies",
        "_terms",
        "closed",
        "negotiated",
        "pending",
        "session",
    )

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._reader = PacketReader(terms.limits.packet)
        self._replies: Mapping[int, bytes] = {}
        self._leading_space = True
        self._may_skip = False
        self._queue: list[tuple[int, bytes]] = []
        self._held = bytearray()
        self.session = Session(terms)
        self.negotiated = False
        self.closed = False
        self.pending: Awaitable[Verdict] | None = None

    @property
    def partial(self) -> int:
        """A number for the packet of which only part has arrived, another for each; 0 where there is none."""
        return self._reader.begun if self._reader.partial else 0

    @property
    def held(self) -> int:
        """How many octets wait for the verdict that is pending."""
        return len(self._held)

    def feed(self, data: bytes) -> bytes:
        """Take what was read; returns what is to be written, perhaps nothing.

        Raises ProtocolError where the peer does not speak the protocol; the
        connection is then to be closed.
        """
        if self.pending is not None:
            self._held += data
            return b""
        return self._run(self._reader.feed(data))

    def resume(self, verdict: Verdict | None) -> bytes:
        """Go on after the pending verdict: *verdict*, or None where ``session.fail`` was told why there is none.

        Returns what is to be written. ``pending`` may be set anew. Raises as ``feed`` does.
        """
        self.pending = None
        answer = encode(self.session.conclude(verdict), self._leading_space)
        queue, self._queue = self._queue, []
        answer += self._run(queue)
        if self.pending is None and self._held:
            held = bytes(self._held)
            self._held.clear()
            answer += self.feed(held)
        return answer

    def close(self) -> None:
        """The connection is gone, whatever the state of things."""
        if self.closed:
            return
        self.closed = True
        self.pending = None
        self._queue.clear()
        self._held.clear()
        self.session.cancel(self.session.reset())

    def _run(self, packets: list[tuple[int, bytes]]) -> bytes:
        out: list[bytes] = []
        position, count = 0, len(packets)
        while position < count:
            command, payload = packets[position]
            if command == _HEADER and self.negotiated:
                # The most frequent packets by far take the short way, all in a row together.
                first, position = position, self._header_fields(packets, position)
                reply = self._replies[_HEADER] * (position - first)
            else:
                step = _STEPS.get(command)
                if step is None or (not self.negotiated and command not in _BEFORE_NEGOTIATION):
                    raise ProtocolError(f"unexpected command {command}")
                reply = step(self, payload)
                position += 1
            if reply:
                out.append(reply)
            if self.pending is not None:
                self._queue = packets[position:]
                break
            if self.closed:
                break
        else:
            if self._reader.fault is not None:
                raise self._reader.fault
        return out[0] if len(out) == 1 else b"".join(out)

    def _header_fields(self, packets: list[tuple[int, bytes]], position: int) -> int:
        """Take the header fields from *position* on; gives the position behind them."""
        if self.session.header_complete:
            raise ProtocolError("header field after the end of the header")
        fields = []
        for command, payload in islice(packets, position, None):
            if command != _HEADER:
                break
            name, value = read_header(payload)
            if not self._leading_space and value and value[0] not in b"\t\n":
                # The MTA has eaten one space behind the colon; nearly every field has one there.
                value = b" " + value
            fields.append(tuple.__new__(HeaderField, (name, value)))
        self.session.header_fields(fields)
        return position + len(fields)

    # One method a command; each returns the reply, b"" for none.

    def _negotiate(self, payload: bytes) -> bytes:
        if self.negotiated:
            raise ProtocolError("negotiation in the middle of a session")
        agreement, answer = self._terms.agree(*read_offer(payload))
        self.negotiated = True
        self.session.granted = agreement.actions
        self._replies = agreement.replies
        self._leading_space = agreement.leading_space
        self._may_skip = agreement.may_skip
        return answer

    def _macro(self, payload: bytes) -> bytes:
        if payload[:1] not in _MACRO_NAMES or len(payload) > MAX_MACROS:
            raise ProtocolError(f"macros of {len(payload)} octets")
        self.session.set_macros(payload[0], payload[1:])
        return b""

    def _connect(self, payload: bytes) -> bytes:
        self.session.cancel(self.session.connect(*read_connect(payload)))
        return self._replies[mfdef.SMFIC_CONNECT]

    def _helo(self, payload: bytes) -> bytes:
        self.session.helo(read_helo(payload))
        return self._replies[mfdef.SMFIC_HELO]

    def _mail(self, payload: bytes) -> bytes:
        self.session.cancel(self.session.mail(read_path(payload)))
        return self._replies[mfdef.SMFIC_MAIL]

    def _rcpt(self, payload: bytes) -> bytes:
        if self.session.header_complete:
            raise ProtocolError("recipient after the end of the header")
        self.session.recipient(read_path(payload))
        return self._replies[mfdef.SMFIC_RCPT]

    def _data(self, _payload: bytes) -> bytes:
        return self._replies[mfdef.SMFIC_DATA]

    def _unknown(self, _payload: bytes) -> bytes:
        return self._replies[mfdef.SMFIC_UNKNOWN]

    def _eoh(self, _payload: bytes) -> bytes:
        if self.session.header_complete:
            raise ProtocolError("a second end of the header")
        self.session.end_of_header()
        return self._replies[mfdef.SMFIC_EOH]

    def _body(self, payload: bytes) -> bytes:
        wanted = self.session.body(payload)
        if not wanted and self._may_skip:
            return SKIP
        return self._replies[mfdef.SMFIC_BODY]

    def _bodyeob(self, payload: bytes) -> bytes:
        if payload:  # The protocol lets the last chunk travel with the end; Postfix never does.
            self.session.body(payload)
        result = self.session.end_of_message()
        if isinstance(result, Awaitable):
            self.pending = result
            return b""
        return encode(self.session.conclude(result), self._leading_space)

    def _abort(self, _payload: bytes) -> bytes:
        self.session.cancel(self.session.abandon())
        return b""

    def _quit(self, _payload: bytes) -> bytes:
        self.close()
        return b""

    def _quit_nc(self, _payload: bytes) -> bytes:
        self.session.cancel(self.session.reset())
        return b""


_MACRO_NAMES = frozenset(bytes([command]) for command in _MACRO_COMMANDS)
_BEFORE_NEGOTIATION = frozenset({mfdef.SMFIC_OPTNEG, mfdef.SMFIC_QUIT})
_STEPS: dict[int, Callable[[Dialogue, bytes], bytes]] = {
    mfdef.SMFIC_OPTNEG: Dialogue._negotiate,
    mfdef.SMFIC_MACRO: Dialogue._macro,
    mfdef.SMFIC_CONNECT: Dialogue._connect,
    mfdef.SMFIC_HELO: Dialogue._helo,
    mfdef.SMFIC_MAIL: Dialogue._mail,
    mfdef.SMFIC_RCPT: Dialogue._rcpt,
    mfdef.SMFIC_DATA: Dialogue._data,
    mfdef.SMFIC_EOH: Dialogue._eoh,
    mfdef.SMFIC_BODY: Dialogue._body,
    mfdef.SMFIC_BODYEOB: Dialogue._bodyeob,
    mfdef.SMFIC_ABORT: Dialogue._abort,
    mfdef.SMFIC_QUIT: Dialogue._quit,
    mfdef.SMFIC_QUIT_NC: Dialogue._quit_nc,
    mfdef.SMFIC_UNKNOWN: Dialogue._unknown,
}
