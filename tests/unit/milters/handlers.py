"""Daemons for the engines to run: each does one thing, and what it does depends on the message alone.

The subject says what to do, so that one daemon serves a whole table of cases,
in this process or in another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from gatepost.message import Message
from milters.handler import (
    Change,
    DeleteHeader,
    Disposition,
    Examination,
    InsertHeader,
    Needs,
    ReplaceHeader,
    Reply,
    Step,
    Verdict,
)

ALL = Step.CONNECT | Step.HELO | Step.MAIL | Step.RCPT | Step.HEADERS | Step.BODY
MACROS: dict[str, tuple[str, ...]] = {
    "connect": ("j",),
    "mail": ("auth_authen",),
    "data": ("i",),
    "eom": ("i",),
}


def insert(value: bytes, position: int = 0) -> InsertHeader:
    return InsertHeader(b"X-Seen", value, position)


VERDICTS: dict[str, Verdict] = {
    "accept": Verdict(),
    "insert": Verdict(changes=[insert(b"one"), insert(b"two\n\tfolded"), insert(b"below", 1)]),
    "order": Verdict(
        changes=[
            insert(b"late"),
            DeleteHeader(b"X-A", 1),
            DeleteHeader(b"X-A", 3),
            ReplaceHeader(b"X-B", 1, b"new"),
            DeleteHeader(b"x-a", 2),
        ]
    ),
    "empty": Verdict(changes=[ReplaceHeader(b"X-B", 1, b"")]),
    "octets": Verdict(changes=[insert("één ✓".encode())]),
    "reject": Verdict(Disposition.REJECT, changes=[insert(b"never")]),
    "reply": Verdict(Disposition.REJECT, reply=Reply(550, "5.7.1", "100% sure, %s and %%")),
    "defer": Verdict(Disposition.TEMPFAIL, reply=Reply(451, "4.7.1", "Try again later")),
    "tempfail": Verdict(Disposition.TEMPFAIL),
    "discard": Verdict(Disposition.DISCARD),
    "quarantine": Verdict(Disposition.QUARANTINE, changes=[insert(b"held")], reason="looks\nodd"),
    "inject-lf": Verdict(changes=[insert(b"a\nBcc: x@example.org")]),
    "inject-cr": Verdict(changes=[insert(b"a\rb")]),
    "inject-nul": Verdict(changes=[insert(b"a\0b")]),
    "inject-end": Verdict(changes=[ReplaceHeader(b"X-B", 1, b"a\n")]),
    "inject-name": Verdict(changes=[InsertHeader(b"X: y\nZ", b"v")]),
    "inject-reply": Verdict(Disposition.REJECT, reply=Reply(550, "5.7.1", "a\r\n250 ok")),
    "wrong-code": Verdict(Disposition.REJECT, reply=Reply(250, "2.0.0", "ok")),
    "wrong-class": Verdict(Disposition.TEMPFAIL, reply=Reply(550, "5.7.1", "no")),
    "index-0": Verdict(changes=[DeleteHeader(b"X-A", 0)]),
    "huge": Verdict(changes=[insert(b"a" * 70_000)]),
}


class Scripted(Examination):
    """Does what the subject says."""

    def __init__(self, message: Message, owner: ScriptedHandler) -> None:
        self.message = message
        self.owner = owner
        self.size = 0
        self.subject = b"".join(message.values(b"subject")).strip().decode()
        if self.subject == "raise-examine":
            raise LookupError("as asked")

    def body(self, chunk: bytes) -> bool:
        if self.subject == "raise-body":
            raise LookupError("as asked")
        self.size += len(chunk)
        return self.subject != "no-body"

    def finish(self) -> Verdict | Awaitable[Verdict]:
        if self.subject == "raise-finish":
            raise LookupError("as asked")
        if self.subject in ("raise-await", "await", "slow", "never"):
            return self.later()
        if self.subject == "nothing":
            return None  # type: ignore[return-value]
        if self.subject == "facts":
            return Verdict(changes=self.facts())
        return VERDICTS.get(self.subject, VERDICTS["accept"])

    async def later(self) -> Verdict:
        await asyncio.sleep({"slow": 0.3, "never": 3600.0}.get(self.subject, 0.001))
        if self.subject == "raise-await":
            raise LookupError("as asked")
        return VERDICTS["insert"]

    def facts(self) -> list[Change]:
        """All that was seen, as header fields."""
        envelope = self.message.envelope
        macros = "|".join(f"{name}={value}" for name, value in sorted(envelope.macros.items()))
        facts = [
            envelope.client_address.encode(),
            envelope.client_name.encode(),
            envelope.helo,
            envelope.mail_from,
            b"|".join(envelope.recipients),
            macros.encode("utf-8", "surrogateescape"),
            b"|".join(name + b":" + value.replace(b"\n", b"^") for name, value in self.message.headers),
            self.message.oversized.encode(),
            b"%d" % self.size,
        ]
        return [insert(b"%d [%b]" % (number, fact)) for number, fact in enumerate(facts)]

    def cancel(self) -> None:
        self.owner.cancelled += 1
        if self.subject == "raise-cancel":
            raise LookupError("as asked")


class ScriptedHandler:
    name = "scripted"

    def __init__(self, needs: Needs | None = None) -> None:
        self.needs = needs or Needs(ALL, MACROS, quarantines=True)
        self.examined = 0
        self.cancelled = 0
        self.messages: list[Message] = []

    def examine(self, message: Message) -> Scripted:
        self.examined += 1
        self.messages.append(message)
        return Scripted(message, self)
