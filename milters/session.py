"""One milter connection as both engines see it: what is collected, and when the daemon is asked.

A :class:`Session` turns the steps of the dialogue into a
:class:`~gatepost.message.Message`, takes the daemon's examination through it,
and comes out with an :class:`~milters.outcome.Outcome`. It does no I/O and
knows neither packets nor libmilter. Whatever the daemon raises ends here, as
one log line, a count, and the configured disposition for that message; the
connection goes on.

Steps may come in any order. A message begins with whatever of it comes first,
is examined at the end of its header or at the first thing after it, and ends
with its end, an abort, or the end of the connection.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from itertools import chain

from gatepost.message import Envelope, HeaderField, Message
from milters import mfdef
from milters.handler import Examination, Verdict
from milters.outcome import ACCEPTED, TEMPFAILED, Outcome, settle
from milters.protocol import read_macros
from milters.terms import Terms

_SESSION_STAGES = frozenset({mfdef.SMFIC_CONNECT, mfdef.SMFIC_HELO})
_ACTION_NAMES = {
    mfdef.SMFIF_ADDHDRS: "add header fields",
    mfdef.SMFIF_CHGHDRS: "change header fields",
    mfdef.SMFIF_QUARANTINE: "quarantine",
}


class Session:
    """One connection: the SMTP session's facts, and one message after the other.

    ``granted`` are the SMFIF_* bits the MTA grants.
    """

    __slots__ = (
        "_body_wanted",
        "_client_address",
        "_client_name",
        "_complained",
        "_examination",
        "_failed",
        "_header_bytes",
        "_headers",
        "_helo",
        "_macros",
        "_mail_from",
        "_message",
        "_oversized",
        "_recipients",
        "_session_macros",
        "_started",
        "_terms",
        "granted",
    )

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._complained = False
        self._started = 0.0
        self.granted = 0
        self._forget_session()

    def _forget_session(self) -> None:
        self._client_name = ""
        self._client_address = ""
        self._helo = b""
        self._session_macros: dict[int, dict[str, str]] = {}
        self._forget_message()

    def _forget_message(self) -> None:
        self._mail_from: bytes | None = None
        self._recipients: list[bytes] = []
        self._macros: dict[int, bytes | dict[str, str]] = {}
        self._headers: list[HeaderField] = []
        self._header_bytes = 0
        self._oversized = ""
        self._message: Message | None = None
        self._examination: Examination | None = None
        self._body_wanted = self._terms.shows_body
        self._failed = False

    @property
    def in_message(self) -> bool:
        """Whether a message has begun and is not yet answered."""
        return bool(
            self._macros
            or self._headers
            or self._recipients
            or self._oversized
            or self._message is not None
            or self._mail_from is not None
        )

    @property
    def header_complete(self) -> bool:
        """Whether the message's header has ended: what comes now is body."""
        return self._message is not None

    # What SMTP said.

    def connect(self, name: str, address: str) -> Examination | None:
        """A client connects to the MTA. Returns what is to be cancelled, as ``abandon`` does."""
        left_over = self.abandon() if self.in_message else None
        macros = self._session_macros.get(mfdef.SMFIC_CONNECT)
        # They come ahead of what they belong to.
        self._session_macros = {} if macros is None else {mfdef.SMFIC_CONNECT: macros}
        self._helo = b""
        self._client_name = name
        self._client_address = address
        return left_over

    def helo(self, name: bytes) -> None:
        """The client gives its name, perhaps again (after STARTTLS)."""
        self._helo = name

    def set_macros(self, command: int, macros: bytes | dict[str, str]) -> None:
        """The MTA's macros for *command* (SMFIC_*), in place of those it sent for it before.

        As octets they are read only when a message is examined; ProtocolError
        for octets that are no macros comes then. Those of the connection and
        the HELO stay for all messages, the rest for this one. Only those that
        the daemon asked for, at whatever stage, reach it.
        """
        if command in _SESSION_STAGES:
            self._session_macros[command] = self._asked_for(macros)
        else:
            self._macros[command] = macros

    def mail(self, sender: bytes) -> Examination | None:
        """A message begins. Returns what is to be cancelled of one that never ended, as ``abandon`` does."""
        left_over = None
        if self._message is not None or self._headers or self._mail_from is not None:
            macros = self._macros.get(mfdef.SMFIC_MAIL)
            left_over = self.abandon()
            if macros is not None:
                self._macros[mfdef.SMFIC_MAIL] = macros
        self._mail_from = sender
        return left_over

    def recipient(self, address: bytes) -> None:
        """One more recipient; those beyond the limit are not remembered, and none where the daemon needs none."""
        terms = self._terms
        if terms.shows_recipients and len(self._recipients) < terms.limits.recipients:
            self._recipients.append(address)

    # The message.

    def header(self, name: bytes, value: bytes) -> None:
        """One header field, *value* as it stands behind the colon."""
        self.header_fields((HeaderField(name, value),))

    def header_fields(self, fields: Sequence[HeaderField]) -> None:
        """Further header fields, in their order. Of those from the first one beyond a limit on none is remembered."""
        if not self._terms.shows_headers or self._oversized:
            return
        limits = self._terms.limits
        size = sum(map(len, chain.from_iterable(fields))) + len(fields)
        if (
            self._header_bytes + size <= limits.header_bytes
            and len(self._headers) + len(fields) <= limits.header_fields
        ):
            self._header_bytes += size
            self._headers += fields
            return
        for field in fields:
            self._header_bytes += len(field.name) + len(field.value) + 1
            if self._header_bytes > limits.header_bytes:
                self._oversized = f"more than {limits.header_bytes} bytes of header"
                return
            if len(self._headers) >= limits.header_fields:
                self._oversized = f"more than {limits.header_fields} header fields"
                return
            self._headers.append(field)

    def end_of_header(self) -> None:
        """The header is complete: the daemon begins its examination."""
        macros: dict[str, str] = {}
        for one in self._session_macros.values():
            macros.update(one)
        self._add_macros(macros)
        envelope = Envelope(
            self._client_address,
            self._client_name,
            self._helo,
            self._mail_from or b"",
            self._recipients,
            macros,
        )
        self._message = message = Message(envelope, self._headers, self._oversized)
        self._started = self._terms.clock()
        try:
            self._examination = self._terms.handler.examine(message)
        except Exception as error:
            self._fail(error)

    def body(self, chunk: bytes) -> bool:
        """The next octets of the body. False: the daemon wants no more of it."""
        if self._message is None:
            self.end_of_header()
        examination = self._examination
        if not self._body_wanted or examination is None or self._failed:
            return False
        try:
            self._body_wanted = examination.body(chunk)
        except Exception as error:
            self._fail(error)
            return False
        return self._body_wanted

    def end_of_message(self) -> Verdict | Awaitable[Verdict] | None:
        """The message is complete: the daemon's verdict, or what to await for it.

        To be followed by ``conclude`` with the verdict, or by ``fail`` with what
        the awaiting raised and then ``conclude``. None where something has
        failed already.
        """
        if self._message is None:
            self.end_of_header()
        if self._macros and self._message is not None:
            self._add_macros(self._message.envelope.macros)
        if self._failed or self._examination is None:
            return None
        try:
            return self._examination.finish()
        except Exception as error:
            self._fail(error)
            return None

    def fail(self, error: BaseException) -> None:
        """Something broke on the way to this message's verdict: ``conclude`` will give the configured outcome."""
        self._fail(error)

    def conclude(self, verdict: Verdict | None) -> Outcome:
        """End the message: what is done with it. The session is then ready for the next one."""
        terms = self._terms
        outcome = ACCEPTED if terms.on_internal_error == "accept" else TEMPFAILED
        if not self._failed:
            try:
                if not isinstance(verdict, Verdict):
                    raise TypeError(f"the verdict is a {type(verdict).__name__}")
                outcome = settle(verdict, self.granted)
            except Exception as error:
                self._fail(error)
        if outcome.left_out and not self._complained:
            self._complain(outcome.left_out)
        if terms.metrics is not None:
            terms.metrics.message_seconds.observe(terms.clock() - self._started)
        if self._failed and self._examination is not None:
            self.cancel(self._examination)
        self._forget_message()
        return outcome

    def abandon(self) -> Examination | None:
        """The message is gone, if there was one. Returns the examination to be given to ``cancel``."""
        examination = self._examination
        self._forget_message()
        return examination

    def reset(self) -> Examination | None:
        """The SMTP session is gone; another may follow on this connection. Returns as ``abandon`` does."""
        examination = self._examination
        self._forget_session()
        return examination

    def cancel(self, examination: Examination | None) -> None:
        """Tell the daemon that a message is gone. Nothing it raises comes out."""
        if examination is None:
            return
        try:
            examination.cancel()
        except Exception as error:
            self._report(error, "")

    def _asked_for(self, macros: bytes | dict[str, str]) -> dict[str, str]:
        """Those of *macros* that the daemon asked for; MTAs send others too."""
        names = self._terms.macro_names
        if isinstance(macros, bytes):
            return read_macros(macros, names)
        return {name: value for name, value in macros.items() if name in names}

    def _add_macros(self, macros: dict[str, str]) -> None:
        """Add those that this message has brought since the last time."""
        for some in self._macros.values():
            macros.update(self._asked_for(some))
        self._macros.clear()

    # What may go wrong.

    def _fail(self, error: BaseException) -> None:
        self._failed = True
        self._report(error, self._message.envelope.queue_id if self._message is not None else "")

    def _report(self, error: BaseException, queue_id: str) -> None:
        self._terms.log.failure("internal error", error, queue_id=queue_id or None)
        if self._terms.metrics is not None:
            self._terms.metrics.error("internal")

    def _complain(self, left_out: int) -> None:
        self._complained = True
        names = [name for bit, name in _ACTION_NAMES.items() if left_out & bit]
        self._terms.log.event("warning", "the MTA does not let this milter " + " or ".join(names))
