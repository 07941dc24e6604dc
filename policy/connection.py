"""One connection of the policy server: octets between a transport and a dialogue."""

from __future__ import annotations

import asyncio
import socket
from typing import Protocol

from gatepost.service.peer import Owner as PeerOwner
from gatepost.service.peer import Peer
from policy.dialogue import Dialogue
from policy.protocol import ProtocolError
from policy.terms import Terms


class Owner(PeerOwner, Protocol):
    """Who has the connections: the worker."""

    terms: Terms


class Connection(Peer):
    """One MTA that has connected."""

    def __init__(self, owner: Owner, sock: socket.socket) -> None:
        self._dialogue = Dialogue(owner.terms)
        super().__init__(owner, sock, self._dialogue)
        self._worker = owner
        self._feed = self._dialogue.feed

    def received(self, data: bytes) -> None:
        """Something was read."""
        self._send(self._feed(data))

    @property
    def at_rest(self) -> bool:
        """Whether no request is under way."""
        return self._awaited is None

    @property
    def greeted(self) -> bool:
        """Whether the MTA has begun to speak."""
        return self._dialogue.begun

    def _send(self, answer: bytes) -> None:
        """Write *answer*, then do what the dialogue has come to."""
        transport, dialogue = self._transport, self._dialogue
        if transport is None:
            return
        if answer:
            transport.write(answer)
        if dialogue.pending is not None:
            if self._awaited is None:
                self._await(dialogue.pending)
                self._timer = asyncio.get_running_loop().call_later(
                    self._worker.terms.limits.answer_timeout, self._give_up
                )
            self._regulate()
        elif dialogue.fault is not None:
            self._refuse(dialogue.fault)

    def _give_up(self) -> None:
        """The service has taken too long."""
        self._wait_no_longer()
        self.arrived(None, TimeoutError(f"no answer after {self._worker.terms.limits.answer_timeout:g} s"))

    def arrived(self, result: str | None, error: BaseException | None) -> None:
        """The answer is there, or will never be."""
        self._send(self._dialogue.resume(result, error))
        self._regulate()

    def _refuse(self, error: ProtocolError) -> None:
        """The peer speaks something else: one line, and goodbye."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        terms = self._worker.terms
        terms.log.event("info", "not the policy protocol", peer=self._name(), error=str(error))
        if terms.metrics is not None:
            terms.metrics.error("protocol")
        self._let_go()
        transport.close()
