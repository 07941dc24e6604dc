"""Postfix's policy delegation protocol as values: requests out of a stream, answers into it. No I/O.

A request is lines of ``name=value`` and an empty line; the answer is one line
``action=…`` and an empty line (SMTPD_POLICY_README of Postfix). There is no
RFC. Postfix sends a request only after it has read the answer to the one before.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from policy.handler import DUNNO, Request

MAX_BYTES = 64 * 1024
"""The longest request taken unless told otherwise, in octets. Postfix's own stay below 8 kB."""
MAX_ATTRIBUTES = 200
"""The most attributes of a request taken unless told otherwise. Postfix 3.7 sends 29."""
MAX_ACTION = 998
"""The longest action written, in octets.

Postfix takes longer ones. But a header field is PREPENDed as one line, and
when that is longer than RFC 5322 §2.1.1 allows, Postfix's SMTP client breaks
it anywhere on the way to a content filter.
"""

KIND = "smtpd_access_policy"
"""The value of the attribute ``request``: the only kind of request there is."""

_OPENING = f"request={KIND}".encode()
_END = re.compile(rb"\n\r?\n")
_LONGEST_END = 3
_UNPRINTABLE = "?"
_WHOLE = ("PREPEND", "FILTER", "REDIRECT", "BCC")


class ProtocolError(ValueError):
    """The peer does not speak the policy protocol. The connection is of no more use."""


class ActionError(ValueError):
    """An action that cannot be written: the service is at fault."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request that was recognised as one and cannot be used. It is to be answered as if there were no opinion.

    ``reason`` is in our own words.
    """

    reason: str


class RequestReader:
    """Cuts a stream of octets into requests, however it arrives.

    A request of more than *max_bytes* octets (its last line end excluded) or
    *max_attributes* attributes is refused, and so is one with a line that is
    no ``name=value``, with NUL, or with one name twice: two values for one
    name means that somebody has slipped in a line, and neither can be believed.

    ``fault`` is None while the stream is sound; once something comes that is no
    request at all it holds the error, and nothing after that point is read.
    ``begun`` counts the requests that arrived in more than one piece: while it
    stays the same, ``partial`` speaks of the same request.
    """

    __slots__ = ("_buffer", "_max_attributes", "_max_bytes", "_searched", "_skipping", "begun", "fault")

    def __init__(self, max_bytes: int = MAX_BYTES, max_attributes: int = MAX_ATTRIBUTES) -> None:
        self._max_bytes = max_bytes
        self._max_attributes = max_attributes
        self._buffer = bytearray()
        self._searched = 0
        self._skipping = False
        self.begun = 0
        self.fault: ProtocolError | None = None

    @property
    def partial(self) -> bool:
        """Whether part of a request has arrived, and its end has not."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> list[Request | Refusal]:
        """What *data* completes, oldest first."""
        found: list[Request | Refusal] = []
        if self.fault is not None:
            return found
        if self._buffer:
            # Collected in place, and searched only where it has grown: one octet at a time costs no more.
            self._buffer += data
            data = bytes(self._buffer) if _END.search(self._buffer, self._searched) else b""
            if not data:
                self._keep()
                return found
            self._buffer.clear()
        start = 0
        while (end := _END.search(data, max(start, self._searched))) is not None:
            self._searched = 0
            try:
                found.append(self._read(data[start : end.start()], end.end() - end.start() > 2))
            except ProtocolError as error:
                self.fault = error
                return found
            start = end.end()
        if start < len(data):
            self.begun += 1
            self._buffer += data[start:] if start else data
        self._keep()
        return found

    def _keep(self) -> None:
        """Wait for the rest of the request in the buffer, of which no more is kept than is taken."""
        buffer = self._buffer
        if not self._skipping and len(buffer) > self._max_bytes + _LONGEST_END:
            if buffer.startswith(_OPENING):
                self._skipping = True
            else:
                self.fault = ProtocolError(f"no request: more than {self._max_bytes} octets")
        if self.fault is not None:
            buffer.clear()
        elif self._skipping:
            del buffer[: -(_LONGEST_END - 1)]
        self._searched = max(len(buffer) - (_LONGEST_END - 1), 0)

    def _read(self, octets: bytes, crlf: bool) -> Request | Refusal:
        """The request in *octets*, whose lines end as its last one does: with CR LF, or LF alone."""
        if self._skipping or len(octets) > self._max_bytes:
            known = self._skipping or octets.startswith(_OPENING)
            self._skipping = False
            return _refuse(known, f"more than {self._max_bytes} octets")
        if crlf:
            octets = octets.replace(b"\r\n", b"\n").removesuffix(b"\r")
        lines = octets.decode("utf-8", "surrogateescape").split("\n")
        if len(lines) > self._max_attributes:
            return _refuse(octets.startswith(_OPENING), f"more than {self._max_attributes} attributes")
        try:
            attributes: dict[str, str] = dict([line.split("=", 1) for line in lines])
        except ValueError:
            return _refuse(octets.startswith(_OPENING), "a line without =")
        if len(attributes) < len(lines):
            return _refuse(octets.startswith(_OPENING), "an attribute twice")
        if "" in attributes:
            return _refuse(octets.startswith(_OPENING), "an attribute without a name")
        if attributes.get("request", KIND) != KIND:
            return Refusal("another kind of request")
        if b"\0" in octets:
            return _refuse(octets.startswith(_OPENING), "NUL")
        return Request(attributes)


def _refuse(known: bool, reason: str) -> Refusal:
    """The refusal of what is *known* to be a request. Raises ProtocolError for anything else."""
    if known:
        return Refusal(reason)
    raise ProtocolError(f"no request: {reason}")


_NO_OPINION = f"action={DUNNO}\n\n".encode()


def write_action(action: str) -> bytes:
    """The answer that says *action*: one line, whatever it holds.

    What is not printable becomes "?" (a tab becomes a space). The text of a
    reply is cut where it is longer than MAX_ACTION. Raises ActionError for an
    action that is empty, or that is too long and would mean something else
    when cut: a header field, an address.
    """
    if action == DUNNO:
        return _NO_OPINION
    if not action.isprintable():
        action = "".join([char if char.isprintable() else _replacement(char) for char in action])
    octets = action.strip().encode()
    if not octets:
        raise ActionError("an empty action")
    if len(octets) > MAX_ACTION:
        if action.lstrip().partition(" ")[0].upper() in _WHOLE:
            raise ActionError(f"an action of {len(octets)} octets: {octets[:40].decode(errors='replace')}")
        octets = octets[:MAX_ACTION].decode("utf-8", "ignore").encode()
    return b"action=%b\n\n" % octets


def _replacement(char: str) -> str:
    return " " if char == "\t" else _UNPRINTABLE
