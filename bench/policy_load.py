"""A client that asks a policy service as smtpd does: one request after the other, many on a connection."""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle

from bench.load import LoadError
from tests.harness.policy_client import Address, request

NUMBER = "\1"
"""Stands, in a request's attributes, for a number that no other request of the run has."""

_RANGE = 10_000_000
_TIMEOUT = 60.0


def template(**attributes: str) -> list[bytes]:
    """A request in pieces, between which its number belongs; its ``instance`` is always new."""
    return request({"instance": f"bench.{NUMBER}.1"} | attributes).split(NUMBER.encode())


@dataclass(frozen=True)
class Questions:
    """Requests for one service, as :func:`template` makes them.

    *expected* is what each answer has to hold; ``per_connection`` is how many
    requests a connection serves, 0 for one that is there already and stays;
    *first* is the first number.
    """

    address: Address
    templates: Sequence[Sequence[bytes]]
    expected: bytes
    per_connection: int
    first: int = 0

    def client(self, number: int, clients: int) -> PolicyTalk:
        """A client, which begins at a request of its own."""
        talk = PolicyTalk(self, self.first + number * _RANGE, number * len(self.templates) // clients)
        if not self.per_connection:
            talk()
        return talk


class PolicyTalk:
    """A client: one request at each call; the first of a connection counts with the connecting."""

    def __init__(self, questions: Questions, number: int, start: int) -> None:
        self._questions = questions
        self._templates = cycle([*questions.templates[start:], *questions.templates[:start]])
        self._number = number
        self._left = 0
        self._service: socket.socket | None = None

    def __call__(self) -> float:
        self._number += 1
        asked = (b"%d" % self._number).join(next(self._templates))
        began = time.perf_counter()
        service = self._service if self._left and self._service is not None else self._connect()
        self._left -= 1
        service.sendall(asked)
        answer = service.recv(65536)
        while not answer.endswith(b"\n\n"):
            data = service.recv(65536)
            if not data:
                raise LoadError(f"the service closed the connection after {answer!r}")
            answer += data
        took = time.perf_counter() - began
        if not answer.startswith(b"action=") or self._questions.expected not in answer:
            raise LoadError(f"no {self._questions.expected!r} in the answer {answer!r}")
        return took

    def _connect(self) -> socket.socket:
        self.close()
        address = self._questions.address
        service = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)
        self._service = service
        service.settimeout(_TIMEOUT)
        service.connect(address)
        self._left = self._questions.per_connection or _RANGE
        return service

    def close(self) -> None:
        """Leave, as an smtpd that ends."""
        if self._service is not None:
            self._service.close()
            self._service = None
