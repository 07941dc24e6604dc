"""One connection of the asyncio engine: octets between a transport and a dialogue.

All replies to what one read brought go out in one write, and TCP is told to
acknowledge at once: with several small writes, or with delayed
acknowledgements, every message would wait 40 ms twice.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Protocol, cast

from milters.dialogue import Dialogue
from milters.handler import Verdict
from milters.protocol import PROGRESS, ProtocolError
from milters.terms import Terms

_MAX_HELD = 64 * 1024
_QUICKACK = getattr(socket, "TCP_QUICKACK", None)  # Linux


class Owner(Protocol):
    """Who has the connections: the worker."""

    terms: Terms
    progress_interval: float
    finish_timeout: float

    def lost(self, connection: Connection) -> None:
        """The connection is gone."""


class Connection(asyncio.Protocol):
    """One MTA that has connected.

    ``active`` is set with every read; whoever watches for silence clears it.
    """

    def __init__(self, owner: Owner, sock: socket.socket) -> None:
        self._owner = owner
        self._socket = sock
        self._rearm = _QUICKACK is not None and sock.family != socket.AF_UNIX
        self._transport: asyncio.Transport | None = None
        self._dialogue = Dialogue(owner.terms)
        self._feed = self._dialogue.feed
        self._verdict: asyncio.Future[Verdict] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._waited = 0.0
        self._write_blocked = False
        self._reading = True
        self.active = True
        # For whoever watches: since when the connection is silent, and since when which packet is half.
        self.silent_since = 0.0
        self.partial_since = 0.0
        self.partial_packet = 0

    # What the event loop says.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The transport is there."""
        self._transport = cast(asyncio.Transport, transport)
        if self._socket.family != socket.AF_UNIX:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        """Something was read."""
        self.active = True
        if self._rearm:
            # Linux forgets this setting as it goes: it holds for about one exchange (tcp(7)).
            self._socket.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)  # type: ignore[arg-type]
        try:
            answer = self._feed(data)
        except ProtocolError as error:
            self._refuse(error)
            return
        self._send(answer)

    def pause_writing(self) -> None:
        """The peer does not read what we write: we do not read what it writes."""
        self._write_blocked = True
        self._regulate()

    def resume_writing(self) -> None:
        """The peer reads again."""
        self._write_blocked = False
        self._regulate()

    def connection_lost(self, _error: Exception | None) -> None:
        """The connection is gone, by whose doing ever."""
        self._transport = None
        self._let_go()
        self._owner.lost(self)

    # What the worker asks.

    @property
    def at_rest(self) -> bool:
        """Whether no message is under way."""
        return self._verdict is None and not self._dialogue.session.in_message

    @property
    def negotiated(self) -> bool:
        """Whether the MTA has begun to speak to us."""
        return self._dialogue.negotiated

    @property
    def waiting(self) -> bool:
        """Whether it is on us that the peer waits, for a verdict."""
        return self._verdict is not None

    @property
    def partial(self) -> int:
        """As ``Dialogue.partial``."""
        return self._dialogue.partial

    def close(self) -> None:
        """Close once all is written."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close now."""
        if self._transport is not None:
            self._transport.abort()

    # Between the two.

    def _send(self, answer: bytes) -> None:
        """Write *answer*, then do what the dialogue has come to."""
        transport = self._transport
        if transport is None:
            return
        if answer:
            transport.write(answer)
        if self._dialogue.pending is not None:
            if self._verdict is None:
                self._await_verdict()
            self._regulate()
        elif self._dialogue.closed:
            transport.close()

    def _await_verdict(self) -> None:
        pending = self._dialogue.pending
        assert pending is not None
        self._verdict = future = asyncio.ensure_future(pending)
        self._waited = 0.0
        self._wait(min(self._owner.progress_interval, self._owner.finish_timeout))
        future.add_done_callback(self._judged)

    def _wait(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._still_waiting, seconds)

    def _still_waiting(self, seconds: float) -> None:
        """Let the MTA know that the message is in good hands, within reason."""
        self._waited += seconds
        left = self._owner.finish_timeout - self._waited
        if left <= 0:
            future, self._verdict = self._verdict, None
            if future is not None:
                future.cancel()
            self._dialogue.session.fail(TimeoutError(f"no verdict after {self._waited:g} s"))
            self._resume(None)
            return
        if self._transport is not None and not self._write_blocked:
            self._transport.write(PROGRESS)
        self._wait(min(self._owner.progress_interval, left))

    def _judged(self, future: asyncio.Future[Verdict]) -> None:
        """The verdict is there, or will never be."""
        # Asked for in any case: an exception that nobody fetches is complained about by the event loop.
        error = None if future.cancelled() else future.exception()
        if future is not self._verdict:
            return
        self._verdict = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if future.cancelled():
            error = RuntimeError("the verdict was cancelled")
        if error is not None:
            self._dialogue.session.fail(error)
        self._resume(future.result() if error is None else None)

    def _resume(self, verdict: Verdict | None) -> None:
        try:
            answer = self._dialogue.resume(verdict)
        except ProtocolError as error:
            self._refuse(error)
            return
        self._send(answer)
        self._regulate()

    def _regulate(self) -> None:
        """Read on only while there is room for what comes."""
        reading = not self._write_blocked and self._dialogue.held <= _MAX_HELD
        transport = self._transport
        if reading == self._reading or transport is None or transport.is_closing():
            return
        self._reading = reading
        if reading:
            transport.resume_reading()
        else:
            transport.pause_reading()

    def _refuse(self, error: ProtocolError) -> None:
        """The peer speaks something else: one line, and goodbye."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        terms = self._owner.terms
        peer = transport.get_extra_info("peername")
        terms.log.event(
            "info", "not the milter protocol", peer=str(peer[0]) if peer else None, error=str(error)
        )
        if terms.metrics is not None:
            terms.metrics.error("protocol")
        self._let_go()
        transport.abort()

    def _let_go(self) -> None:
        """End the dialogue where it stands."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._dialogue.close()
        future, self._verdict = self._verdict, None
        if future is not None:
            future.cancel()
