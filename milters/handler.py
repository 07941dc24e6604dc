"""What a milter daemon is, seen from the engines.

A daemon is a :class:`Handler`: it says once which steps of the dialogue it
needs, and turns each message into an :class:`Examination`. It knows nothing of
sockets, packets or which engine runs it; the engines know nothing of mail.

The engine collects envelope and header, then calls ``examine`` at the end of
the header, ``body`` for each chunk, and ``finish`` at the end of the message.
All calls for one message come one after the other. ``finish`` may answer at
once, or return an awaitable where something is still under way (DNS).
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from enum import Enum, Flag, auto
from typing import NamedTuple, Protocol

from gatepost.message import Message


class Step(Flag):
    """Steps of the milter dialogue before the end of the message, which everyone gets."""

    CONNECT = auto()
    HELO = auto()
    MAIL = auto()
    RCPT = auto()
    HEADERS = auto()
    BODY = auto()


@dataclass(frozen=True, slots=True)
class Needs:
    """What a daemon asks of the MTA when the connection opens.

    ``steps`` are the steps that it is shown. ``skips_body`` says that it may
    want no (more) body for a message, so that body chunks must be answered.
    ``macros`` are the macro names it reads, by the stage at which Postfix
    should send them: "connect", "helo", "mail", "rcpt", "data", "eoh", "eom".
    ``changes_headers`` and ``quarantines`` name the actions it may take
    beside inserting header fields.
    """

    steps: Step
    macros: dict[str, tuple[str, ...]]
    changes_headers: bool = True
    quarantines: bool = False
    skips_body: bool = False


class Disposition(Enum):
    """What becomes of the message."""

    ACCEPT = "accept"
    TEMPFAIL = "tempfail"
    REJECT = "reject"
    DISCARD = "discard"
    QUARANTINE = "quarantine"


@dataclass(frozen=True, slots=True)
class Reply:
    """An SMTP reply of our own: code, enhanced status code (RFC 3463) and one line of printable ASCII."""

    code: int
    enhanced: str
    text: str


@dataclass(frozen=True, slots=True)
class DeleteHeader:
    """Remove the *index*-th field (1-based) called *name*, as counted in the message as it was shown.

    The engine deletes from the highest index to the lowest, so that no
    deletion renumbers what is still to be deleted.
    """

    name: bytes
    index: int


class InsertHeader(NamedTuple):
    """Put a new field at *position*: 0 is the very top, above the MTA's own Received.

    ``value`` is what follows the colon, without the leading space (the engine
    adds it); folds are "\\n" and white space.
    """

    name: bytes
    value: bytes
    position: int = 0


@dataclass(frozen=True, slots=True)
class ReplaceHeader:
    """Give the *index*-th field (1-based) called *name* a new value, in its place."""

    name: bytes
    index: int
    value: bytes


Change = DeleteHeader | InsertHeader | ReplaceHeader


class Verdict(NamedTuple):
    """The answer at the end of a message.

    ``changes`` are made whatever the disposition, short of a refusal.
    Insertions are made in the order given, each at its own position, after
    all replacements and deletions. ``reason`` is the text for the hold queue
    when the disposition is QUARANTINE.
    """

    disposition: Disposition = Disposition.ACCEPT
    changes: Sequence[Change] = ()
    reply: Reply | None = None
    reason: str = ""

    def with_changes(self, changes: Sequence[Change]) -> Verdict:
        """The same verdict, with *changes* in place of its own."""
        return Verdict(self.disposition, changes, self.reply, self.reason)


class Examination(Protocol):
    """One message on its way through a daemon."""

    def body(self, chunk: bytes) -> bool:
        """Take the next octets of the body, cut anywhere. False: no more of them are needed."""

    def finish(self) -> Verdict | Awaitable[Verdict]:
        """Judge the message. An awaitable is awaited on the engine's event loop."""

    def cancel(self) -> None:
        """The message is gone (aborted, or the connection closed): let go of what is under way."""


class Handler(Protocol):
    """One milter daemon. Shared by all connections of a process."""

    name: str
    needs: Needs

    def examine(self, message: Message) -> Examination:
        """Begin with a message whose header is complete. Runs on the event loop."""
