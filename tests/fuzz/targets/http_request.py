"""Requests to the metrics address (``gatepost.service.http.respond``).

- Nothing is raised, also where the answer to a path breaks; the response is HTTP with a length that is its content's.
- What is asked for has no query, and is asked for by GET and HEAD alone.
"""

from __future__ import annotations

from gatepost.service.http import Response, respond

SEEDS = (
    b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept: text/plain",
    b"HEAD /healthz?x=y HTTP/1.0",
    b"POST / HTTP/1.1\nContent-Length: 3",
    b"GET /break HTTP/1.1",
    b"GET  / HTTP/1.1",
    b"GET / HTTP/2",
    b"",
)
WORDS = (b"GET ", b"HEAD ", b" HTTP/1.1", b"\r\n", b"Accept: ", b"?", b"%00", b"/metrics", b"\x85", b"\x0c")


def check(data: bytes) -> None:
    asked: list[tuple[str, str]] = []

    def answer(path: str, accept: str) -> Response:
        asked.append((path, accept))
        if len(path) % 5 == 0:
            raise OSError("a broken file")
        return Response(200, "text/plain", path.encode())

    octets = respond(data, answer)
    head, _, content = octets.partition(b"\r\n\r\n")
    first, *fields = head.split(b"\r\n")
    version, code, _ = first.split(b" ", 2)
    assert version == b"HTTP/1.1"
    assert code in (b"200", b"400", b"405", b"500")
    lengths = [field for field in fields if field.startswith(b"Content-Length: ")]
    is_head = data.splitlines()[:1] and data.startswith(b"HEAD ")
    assert len(lengths) == 1
    if content or not is_head:
        assert lengths == [b"Content-Length: %d" % len(content)]
    assert len(asked) <= 1
    for path, accept in asked:
        assert data.startswith((b"GET ", b"HEAD "))
        assert "?" not in path
        assert not set(path + accept) & set("\r\n")
