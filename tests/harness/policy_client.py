"""A policy client that speaks as Postfix does: all its attributes, many requests on one connection."""

from __future__ import annotations

import itertools
import os
import socket
import time
from collections.abc import Iterable, Mapping
from typing import Self

from tests.harness.lasting import Closeable
from tests.harness.waiting import PATIENCE

Address = str | tuple[str, int]

# As Postfix 3.7 sends them, in its order.
USUAL: Mapping[str, str] = {
    "request": "smtpd_access_policy",
    "protocol_state": "RCPT",
    "protocol_name": "ESMTP",
    "client_address": "192.0.2.10",
    "client_name": "mx.example.org",
    "client_port": "43210",
    "reverse_client_name": "mx.example.org",
    "server_address": "198.51.100.1",
    "server_port": "25",
    "helo_name": "mx.example.org",
    "sender": "bob@example.org",
    "recipient": "anna@example.nl",
    "recipient_count": "0",
    "queue_id": "",
    "instance": "",
    "size": "1234",
    "etrn_domain": "",
    "stress": "",
    "sasl_method": "",
    "sasl_username": "",
    "sasl_sender": "",
    "ccert_subject": "",
    "ccert_issuer": "",
    "ccert_fingerprint": "",
    "ccert_pubkey_fingerprint": "",
    "encryption_protocol": "",
    "encryption_cipher": "",
    "encryption_keysize": "0",
    "policy_context": "",
}

_numbers = itertools.count(1)


class ClientError(Exception):
    """The service did what no policy service may do."""


def new_instance() -> str:
    """An ``instance`` as Postfix makes them: smtpd's process, the time, and a count."""
    return (
        f"{os.getpid():x}.{time.time_ns() // 1_000_000_000:x}.{time.time_ns() % 1_000_000:x}.{next(_numbers)}"
    )


def request(attributes: Mapping[str, str | bytes] | None = None, /, **more: str | bytes) -> bytes:
    """One request: the usual attributes, with those given instead or added at the end."""
    named = {"instance": new_instance()} | dict(attributes or {}) | more
    return b"".join(_line(name, value) for name, value in {**USUAL, **named}.items()) + b"\n"


def _line(name: str, value: str | bytes) -> bytes:
    octets = value if isinstance(value, bytes) else value.encode("utf-8", "surrogateescape")
    return b"%b=%b\n" % (name.encode(), octets)


class PolicyClient(Closeable):
    """One connection to a service at *address*: (host, port), or the path of a unix socket."""

    def __init__(self, address: Address, *, timeout: float = PATIENCE) -> None:
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        if not isinstance(address, str) and ":" in address[0]:
            family = socket.AF_INET6
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        self._received = b""
        try:
            self.socket.connect(address)
        except BaseException:
            self.socket.close()
            raise

    @classmethod
    def over(cls, connected: socket.socket) -> Self:
        """A client on a connection that is there already."""
        client = cls.__new__(cls)
        client.socket = connected
        client._received = b""
        return client

    def ask(self, attributes: Mapping[str, str | bytes] | None = None, /, **more: str | bytes) -> str:
        """Send one request and read the action that answers it."""
        self.raw(request(attributes, **more))
        return self.answer()

    def message(self, recipients: Iterable[str], **more: str | bytes) -> list[str]:
        """The requests for one message, one a recipient, each after the answer to the one before."""
        instance = new_instance()
        return [self.ask({"recipient": recipient, "instance": instance, **more}) for recipient in recipients]

    def raw(self, data: bytes) -> None:
        """Write octets as they are."""
        self.socket.sendall(data)

    def answer(self) -> str:
        """The next answer's action. Raises ClientError for anything but ``action=…`` and an empty line."""
        while b"\n\n" not in self._received:
            data = self.socket.recv(65536)
            if not data:
                raise ClientError(f"the connection was closed after {self._received!r}")
            self._received += data
        answer, _, self._received = self._received.partition(b"\n\n")
        name, equals, action = answer.partition(b"=")
        if name != b"action" or not equals or not action or b"\n" in action:
            raise ClientError(f"no answer: {answer!r}")
        return action.decode()

    def answers(self, count: int) -> list[str]:
        """The next *count* actions."""
        return [self.answer() for _ in range(count)]

    def at_end(self) -> bool:
        """Read on: True when the service has closed the connection, False when it says something."""
        try:
            return not self._received and not self.socket.recv(1)
        except ConnectionError:
            return True

    def close(self) -> None:
        """Close the connection, as Postfix does when it has no more use for it."""
        self.socket.close()
