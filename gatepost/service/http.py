"""A responder for ``/metrics`` and ``/healthz``: as little HTTP/1.1 (RFC 9112) as they need.

It lives in the supervisor's selector loop and must never hold that up: no
client is waited for, each has a bounded request and a bounded time, and the
oldest makes room when there are too many. Every answer closes its connection.
"""

from __future__ import annotations

import re
import selectors
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

MOST_CLIENTS: Final = 32
MOST_REQUEST: Final = 8192
"""Octets of a request's header."""
MOST_SECONDS: Final = 5.0
"""From accepting a client to the last octet of its answer."""
_ACCEPTS_A_TURN: Final = 8

_TOKEN = re.compile(rb"[A-Z]{1,16}").fullmatch
_VERSION = re.compile(rb"HTTP/1\.[0-9]").fullmatch
_HEADER_END = re.compile(rb"\r?\n\r?\n")

_REASONS: Final = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


class Response(NamedTuple):
    """An answer: status, content type, and content."""

    status: int
    content_type: str
    content: bytes


Answer = Callable[[str, str], Response]
"""From the path (without query) and the Accept field to the response."""


def _plain(status: int) -> Response:
    return Response(status, "text/plain; charset=utf-8", f"{_REASONS[status]}\n".encode())


def encode(response: Response, head: bool = False) -> bytes:
    """The octets of *response*; only its header for a HEAD request."""
    lines = [
        f"HTTP/1.1 {response.status} {_REASONS[response.status]}",
        f"Content-Type: {response.content_type}",
        f"Content-Length: {len(response.content)}",
        "Cache-Control: no-store",
        "Connection: close",
    ]
    if response.status == 405:
        lines.append("Allow: GET, HEAD")
    start = ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")
    return start if head else start + response.content


def respond(request: bytes, answer: Answer) -> bytes:
    """The answer to a whole request header. Whatever *answer* raises becomes a 500."""
    first, *lines = request.splitlines() or [b""]
    words = first.split(b" ")
    if len(words) != 3 or _TOKEN(words[0]) is None or _VERSION(words[2]) is None:
        return encode(_plain(400))
    head = words[0] == b"HEAD"
    if words[0] not in (b"GET", b"HEAD"):
        return encode(_plain(405))
    accept = ""
    for line in lines:
        name, _, value = line.partition(b":")
        if name.lower() == b"accept":
            accept = value.strip().decode("latin-1")
    path = words[1].partition(b"?")[0].decode("latin-1")
    try:
        response = answer(path, accept)
    except Exception:  # a broken counter file must not take the supervisor down
        response = _plain(500)
    return encode(response, head)


def not_found() -> Response:
    """The answer for a path that is not there."""
    return _plain(404)


@dataclass(slots=True, eq=False)
class _Client:
    socket: socket.socket
    deadline: float
    request: bytearray = field(default_factory=bytearray)
    answer: memoryview | None = None


class Responder:
    """Serves one listening socket within *selector*'s loop. *clock* counts seconds, as ``time.monotonic``."""

    def __init__(self, selector: selectors.BaseSelector, answer: Answer, clock: Callable[[], float]) -> None:
        self._selector = selector
        self._answer = answer
        self._clock = clock
        self._listening: socket.socket | None = None
        self._clients: dict[_Client, None] = {}

    @property
    def sockets(self) -> list[socket.socket]:
        """All its open sockets, for a child process to close."""
        own = [client.socket for client in self._clients]
        return own if self._listening is None else [self._listening, *own]

    def listen(self, listening: socket.socket | None) -> None:
        """Serve *listening* from now on instead of what was served before, which is not closed."""
        if self._listening is not None:
            self._selector.unregister(self._listening)
        self._listening = listening
        if listening is not None:
            self._selector.register(listening, selectors.EVENT_READ, self._accept)

    def expire(self) -> None:
        """Let go of clients whose time is up. To be called about once a second."""
        now = self._clock()
        for client in [client for client in self._clients if client.deadline <= now]:
            if client.answer is None:
                self._answered(client, encode(_plain(408)))
            self._close(client)

    def close(self) -> None:
        """Stop serving; clients are cut. The listening socket stays open."""
        self.listen(None)
        for client in list(self._clients):
            self._close(client)

    def _accept(self, _events: int) -> None:
        if self._listening is None:  # another event of this turn has closed it
            return
        for _ in range(_ACCEPTS_A_TURN):
            try:
                accepted, _address = self._listening.accept()
            except OSError:  # no more, gone again, or no descriptor left: the next turn tries again
                return
            if len(self._clients) >= MOST_CLIENTS:
                self._close(next(iter(self._clients)))
            accepted.setblocking(False)
            client = _Client(accepted, self._clock() + MOST_SECONDS)
            self._clients[client] = None
            self._selector.register(accepted, selectors.EVENT_READ, lambda _events, c=client: self._read(c))

    def _read(self, client: _Client) -> None:
        try:
            data = client.socket.recv(MOST_REQUEST)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._close(client)
            return
        request = client.request
        # The end may straddle two reads; looking back this far finds it without reading all again.
        search_from = max(0, len(request) - 3)
        request += data
        end = _HEADER_END.search(request, search_from)
        if end is not None and end.end() <= MOST_REQUEST:
            self._answered(client, respond(bytes(request[: end.start()]), self._answer))
        elif len(request) > MOST_REQUEST:
            self._answered(client, encode(_plain(431)))

    def _answered(self, client: _Client, octets: bytes) -> None:
        client.answer = memoryview(octets)
        self._selector.modify(client.socket, selectors.EVENT_WRITE, lambda _events, c=client: self._write(c))
        self._write(client)

    def _write(self, client: _Client) -> None:
        assert client.answer is not None
        if client not in self._clients:
            return
        try:
            client.answer = client.answer[client.socket.send(client.answer) :]
        except BlockingIOError:
            return
        except OSError:
            self._close(client)
            return
        if not client.answer:
            self._close(client)

    def _close(self, client: _Client) -> None:
        if client in self._clients:
            del self._clients[client]
            self._selector.unregister(client.socket)
            client.socket.close()
