"""One connection of the libmilter engine: libmilter's callbacks on one side, a session on the other.

The rules are the session's, as in the other engine; here is only what
libmilter wants said differently.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol, TypeVar

from milters import mfdef
from milters.handler import Disposition, Examination, InsertHeader, ReplaceHeader
from milters.negotiation import braced, macro_lists, macro_names, wanted_actions, wanted_steps
from milters.outcome import Outcome
from milters.protocol import ProtocolError, bare_address, client_address
from milters.session import Session
from milters.terms import Terms

T = TypeVar("T")

_LOOP_ALLOWANCE = 10.0


class Owner(Protocol):
    """Who has the sessions and the event loop: the worker."""

    terms: Terms
    progress_interval: float
    finish_timeout: float
    sessions: set[CallbackSession]

    def on_loop(self, coroutine: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        """Run *coroutine* on the event loop, from another thread."""

    def later(self, function: Callable[[], None]) -> None:
        """Run *function* on the event loop, without waiting for it."""


class CallbackSession:
    """One connection as libmilter's callbacks show it. They come one after the other, on any thread."""

    def __init__(self, owner: Owner, milter: Any, ctx: Any) -> None:
        self._owner = owner
        self._milter = milter
        self._ctx = ctx
        self._terms = owner.terms
        self._needs = owner.terms.handler.needs
        self._macro_names = macro_names(self._needs)
        self._no_reply = 0
        self._may_skip = False
        self._leading_space = True
        self._open = True
        self.heard = owner.terms.clock()
        self.session = Session(owner.terms)
        self.session.granted = wanted_actions(self._needs)
        owner.sessions.add(self)
        if self._terms.metrics is not None:
            self._terms.metrics.connections.inc()

    def negotiate(self, offer: list[int]) -> int:
        """Agree on the same actions and steps as the other engine."""
        actions, steps = offer[0], offer[1]
        granted = wanted_actions(self._needs) & actions
        agreed = wanted_steps(self._needs, steps)
        if granted & mfdef.SMFIF_SETSYMLIST:
            for stage, names in macro_lists(self._needs).items():
                if stage == mfdef.SMFIM_ENVFROM:
                    # libmilter forgets a message's macros only when new ones come with the next MAIL: one always does.
                    names += " {mail_addr}"
                self._ctx.setsymlist(stage, names)
        offer[0], offer[1], offer[2], offer[3] = granted, agreed, 0, 0
        self.session.granted = granted
        self._no_reply = agreed
        self._may_skip = bool(agreed & mfdef.SMFIP_SKIP)
        self._leading_space = bool(agreed & mfdef.SMFIP_HDR_LEADSPC)
        return int(self._milter.CONTINUE)

    def connect(self, name: str, _family: int, address: Any) -> int:
        """A client connects to the MTA."""
        text = address[0] if isinstance(address, tuple) else ""
        try:
            text = client_address(text.encode("utf-8", "surrogateescape"))
        except ProtocolError:
            text = ""
        self._cancel(self.session.connect(name, text))
        return self._reply(mfdef.SMFIP_NR_CONN)

    def helo(self, name: str) -> int:
        """The client gives its name."""
        self.session.helo(name.encode("utf-8", "surrogateescape"))
        return self._reply(mfdef.SMFIP_NR_HELO)

    def mail(self, sender: bytes, *_parameters: bytes) -> int:
        """A message begins."""
        self._cancel(self.session.mail(bare_address(sender)))
        return self._reply(mfdef.SMFIP_NR_MAIL)

    def rcpt(self, recipient: bytes, *_parameters: bytes) -> int:
        """One more recipient."""
        self.session.recipient(bare_address(recipient))
        return self._reply(mfdef.SMFIP_NR_RCPT)

    def data(self) -> int:
        """The header follows."""
        return self._reply(mfdef.SMFIP_NR_DATA)

    def header(self, name: str, value: bytes) -> int:
        """One header field."""
        if not self._leading_space and value and value[0] not in b"\t\n":
            value = b" " + value
        self.session.header(name.encode("utf-8", "surrogateescape"), value)
        return self._reply(mfdef.SMFIP_NR_HDR)

    def eoh(self) -> int:
        """The header is complete."""
        self._begin()
        return self._reply(mfdef.SMFIP_NR_EOH)

    def body(self, chunk: bytes) -> int:
        """The next octets of the body."""
        if not self.session.header_complete:
            self._begin()
        wanted = self.session.body(chunk)
        if not wanted and self._may_skip:
            return int(self._milter.SKIP)
        return self._reply(mfdef.SMFIP_NR_BODY)

    def eom(self) -> int:
        """The message is complete: wait for the verdict, and say what it comes to."""
        self._take_macros(mfdef.SMFIC_BODYEOB)
        if not self.session.header_complete:
            self._begin()
        outcome = self._await_outcome()
        return int(self._milter.TEMPFAIL) if outcome is None else self._apply(outcome)

    def abort(self) -> int:
        """The message is gone."""
        self._cancel(self.session.abandon())
        return int(self._milter.CONTINUE)

    def gone(self) -> None:
        """The connection is gone. To be quick: libmilter may hold a lock meanwhile."""
        if not self._open:
            return
        self._open = False
        self._owner.sessions.discard(self)
        self._cancel(self.session.reset())
        if self._terms.metrics is not None:
            self._terms.metrics.connections.dec()

    def _reply(self, no_reply: int) -> int:
        """The answer to a step that was taken, given its SMFIP_NR_* bit."""
        self.heard = self._terms.clock()
        return int(self._milter.NOREPLY if self._no_reply & no_reply else self._milter.CONTINUE)

    def _take_macros(self, command: int) -> None:
        """Read the macros the daemon asked for; libmilter has those of all stages so far."""
        macros = {}
        for name in self._macro_names:
            try:
                value = self._ctx.getsymval(braced(name))
            except (UnicodeDecodeError, self._milter.error):
                value = None
            if value is not None:
                macros[name] = value
        if macros:
            self.session.set_macros(command, macros)

    def _cancel(self, examination: Examination | None) -> None:
        if examination is not None:
            self._owner.later(functools.partial(self.session.cancel, examination))

    def _begin(self) -> None:
        """Let the handler examine the message, on the event loop."""

        self._take_macros(mfdef.SMFIC_EOH)

        async def begin() -> None:
            self.session.end_of_header()

        future = self._owner.on_loop(begin())
        if not concurrent.futures.wait([future], self._owner.finish_timeout).done:
            future.cancel()
            self.session.fail(TimeoutError("the event loop is stuck"))

    async def _judge(self) -> Outcome:
        """The outcome, on the event loop."""
        verdict = None
        try:
            async with asyncio.timeout(self._owner.finish_timeout):
                result = self.session.end_of_message()
                verdict = await result if isinstance(result, Awaitable) else result
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():  # The MTA is gone.
                raise
            self.session.fail(RuntimeError("the verdict was cancelled"))
        except Exception as error:
            self.session.fail(error)
        return self.session.conclude(verdict)

    def _await_outcome(self) -> Outcome | None:
        """The outcome, with signs of life to the MTA meanwhile. None when it is gone."""
        future = self._owner.on_loop(self._judge())
        deadline = self._terms.clock() + self._owner.finish_timeout + _LOOP_ALLOWANCE
        while not concurrent.futures.wait([future], self._owner.progress_interval).done:
            if self._terms.clock() > deadline:
                future.cancel()
                self.session.fail(TimeoutError("the event loop is stuck"))
                return self.session.conclude(None)
            try:
                self._ctx.progress()
            except self._milter.error:
                future.cancel()
                self._cancel(self.session.abandon())
                return None
        if future.cancelled():  # The daemon has stopped.
            return None
        return future.result()

    def _apply(self, outcome: Outcome) -> int:
        """Do what the outcome says, and return libmilter's word for its disposition."""
        ctx, milter = self._ctx, self._milter
        space = " " if self._leading_space else ""
        try:
            for change in outcome.changes:
                name = change.name.decode("ascii")
                if isinstance(change, InsertHeader):
                    ctx.addheader(name, space + change.value.decode("utf-8", "replace"), change.position)
                elif isinstance(change, ReplaceHeader):
                    value = space + change.value.decode("utf-8", "replace") or " "
                    ctx.chgheader(name, change.index, value)
                else:
                    ctx.chgheader(name, change.index, "")
            if outcome.quarantine is not None:
                ctx.quarantine(outcome.quarantine)
            if outcome.reply:
                code, enhanced, text = outcome.reply.split(" ", 2)
                ctx.setreply(code, enhanced, text.replace("%", "%%"))
        except (milter.error, ValueError) as error:
            # The connection broke; what libmilter returns goes nowhere.
            self._terms.log.event("info", "the MTA did not take the verdict", error=str(error))
            return int(milter.TEMPFAIL)
        word: str = outcome.disposition.name
        return int(getattr(milter, "ACCEPT" if outcome.disposition is Disposition.QUARANTINE else word))
