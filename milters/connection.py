"""One connection of the asyncio engine: octets between a transport and a dialogue."""

from __future__ import annotations

import asyncio
import socket
from typing import Protocol

from gatepost.service.peer import Owner as PeerOwner
from gatepost.service.peer import Peer
from milters.dialogue import Dialogue
from milters.handler import Verdict
from milters.protocol import PROGRESS, ProtocolError
from milters.terms import Terms


class Owner(PeerOwner, Protocol):
    """Who has the connections: the worker."""

    terms: Terms
    progress_interval: float
    finish_timeout: float


class Connection(Peer):
    """One MTA that has connected."""

    def __init__(self, owner: Owner, sock: socket.socket) -> None:
        self._dialogue = Dialogue(owner.terms)
        super().__init__(owner, sock, self._dialogue)
        self._worker = owner
        self._feed = self._dialogue.feed
        self._waited = 0.0

    def received(self, data: bytes) -> None:
        """Something was read."""
        try:
            answer = self._feed(data)
        except ProtocolError as error:
            self._refuse(error)
            return
        self._send(answer)

    @property
    def at_rest(self) -> bool:
        """Whether no message is under way."""
        return self._awaited is None and not self._dialogue.session.in_message

    @property
    def greeted(self) -> bool:
        """Whether the MTA has negotiated."""
        return self._dialogue.negotiated

    def _send(self, answer: bytes) -> None:
        """Write *answer*, then do what the dialogue has come to."""
        transport = self._transport
        if transport is None:
            return
        if answer:
            transport.write(answer)
        if self._dialogue.pending is not None:
            if self._awaited is None:
                self._await_verdict()
            self._regulate()
        elif self._dialogue.closed:
            transport.close()

    def _await_verdict(self) -> None:
        pending = self._dialogue.pending
        assert pending is not None
        self._await(pending)
        self._waited = 0.0
        self._wait(min(self._worker.progress_interval, self._worker.finish_timeout))

    def _wait(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._still_waiting, seconds)

    def _still_waiting(self, seconds: float) -> None:
        """Let the MTA know that the message is in good hands, within reason."""
        self._waited += seconds
        left = self._worker.finish_timeout - self._waited
        if left <= 0:
            self._wait_no_longer()
            self.arrived(None, TimeoutError(f"no verdict after {self._waited:g} s"))
            return
        if self._transport is not None and not self._write_blocked:
            self._transport.write(PROGRESS)
        self._wait(min(self._worker.progress_interval, left))

    def arrived(self, result: Verdict | None, error: BaseException | None) -> None:
        """The verdict is there, or will never be."""
        if error is not None:
            self._dialogue.session.fail(error)
        try:
            answer = self._dialogue.resume(result)
        except ProtocolError as fault:
            self._refuse(fault)
            return
        self._send(answer)
        self._regulate()

    def _refuse(self, error: ProtocolError) -> None:
        """The peer speaks something else: one line, and goodbye."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        terms = self._worker.terms
        terms.log.event("info", "not the milter protocol", peer=self._name(), error=str(error))
        if terms.metrics is not None:
            terms.metrics.error("protocol")
        self._let_go()
        transport.abort()
