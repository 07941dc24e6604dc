from __future__ import annotations

import selectors
import socket
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatepost.service import http
from gatepost.service.http import Responder, Response, respond


def answer(path: str, accept: str) -> Response:
    if path == "/boom":
        raise RuntimeError("broken")
    if path == "/big":
        return Response(200, "text/plain", b"x" * 20_000_000)
    return Response(200, "text/plain", f"{path} {accept}".encode())


@pytest.mark.parametrize(
    ("request_", "status", "content"),
    [
        (b"GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: text/plain", 200, b"/metrics text/plain"),
        (b"GET /metrics?x=1 HTTP/1.0", 200, b"/metrics "),
        (b"HEAD /metrics HTTP/1.1", 200, b""),
        (b"POST /metrics HTTP/1.1", 405, b"Method Not Allowed\n"),
        (b"GET /boom HTTP/1.1", 500, b"Internal Server Error\n"),
        (b"GET /metrics", 400, b"Bad Request\n"),
        (b"GET  /metrics HTTP/1.1", 400, b"Bad Request\n"),
        (b"GET /metrics HTTP/2", 400, b"Bad Request\n"),
        (b"get /metrics HTTP/1.1", 400, b"Bad Request\n"),
        (b"\x16\x03\x01\x02\x00\x01", 400, b"Bad Request\n"),
        (b"", 400, b"Bad Request\n"),
        (b"GET /\xff\x00 HTTP/1.1\r\nAccept: \xff", 200, "/\xff\x00 \xff".encode()),
    ],
)
def test_respond(request_: bytes, status: int, content: bytes) -> None:
    head, _, body = respond(request_, answer).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert body == content
    assert (b"Allow:" in head) == (status == 405)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_respond_to_anything(request_: bytes) -> None:
    assert respond(request_, answer).startswith(b"HTTP/1.1 ")


class Site:
    """A responder in a loop that is turned by hand, with a clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0
        self.selector = selectors.DefaultSelector()
        self.listening = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.listening.setblocking(False)
        self.responder = Responder(self.selector, answer, lambda: self.now)
        self.responder.listen(self.listening)
        self.clients: list[socket.socket] = []

    def client(self, data: bytes = b"") -> socket.socket:
        client = socket.create_connection(self.listening.getsockname(), timeout=5)
        self.clients.append(client)
        client.sendall(data)
        self.turn()
        return client

    def turn(self, until: Callable[[], bool] | None = None) -> None:
        for _ in range(1000):
            events = self.selector.select(0.02)
            for key, mask in events:
                key.data(mask)
            if until() if until is not None else not events:
                return
        raise AssertionError("does not come to rest")

    def close(self) -> None:
        self.responder.close()
        self.selector.close()
        self.listening.close()
        for client in self.clients:
            client.close()


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    yield made
    made.close()


def everything(client: socket.socket) -> bytes:
    data = b""
    try:
        while more := client.recv(65536):
            data += more
    except ConnectionResetError:
        pass
    return data


def test_octet_by_octet(site: Site) -> None:
    client = site.client()
    for octet in b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n":
        client.send(bytes([octet]))
        site.turn()
    assert everything(client).endswith(b"\r\n\r\n/a ")


def test_an_endless_header_is_refused(site: Site) -> None:
    client = site.client(b"GET /a HTTP/1.1\r\nX: " + b"x" * http.MOST_REQUEST)
    assert everything(client).startswith(b"HTTP/1.1 431 ")


def test_a_slow_client_is_let_go(site: Site) -> None:
    slow = site.client(b"GET /a HTT")
    site.now += http.MOST_SECONDS
    site.responder.expire()
    assert everything(slow).startswith(b"HTTP/1.1 408 ")
    assert site.responder.sockets == [site.listening]


def test_a_client_that_does_not_read_is_let_go(site: Site) -> None:
    site.client(b"GET /big HTTP/1.1\r\n\r\n")
    assert len(site.responder.sockets) == 2
    site.now += http.MOST_SECONDS
    site.responder.expire()
    assert site.responder.sockets == [site.listening]


def test_the_oldest_makes_room(site: Site) -> None:
    for _ in range(http.MOST_CLIENTS + 10):
        site.client(b"GET /")
    assert len(site.responder.sockets) == http.MOST_CLIENTS + 1
    assert everything(site.client(b"GET /a HTTP/1.1\r\n\r\n")).endswith(b"/a ")


def test_clients_that_vanish_leave_nothing(site: Site) -> None:
    for data in (b"", b"GET", b"GET /big HTTP/1.1\r\n\r\n"):
        client = site.client(data)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.close()
        site.turn(lambda: site.responder.sockets == [site.listening])
    assert site.responder.sockets == [site.listening]


def test_another_address(site: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        other.setblocking(False)
        site.responder.listen(other)
        client = socket.create_connection(other.getsockname(), timeout=5)
        site.clients.append(client)
        client.sendall(b"GET /b HTTP/1.1\r\n\r\n")
        site.turn()
        assert everything(client).endswith(b"/b ")
        site.responder.listen(None)
