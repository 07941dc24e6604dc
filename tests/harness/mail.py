"""Messages as text, and as the MTA hands them to a milter."""

from __future__ import annotations

from gatepost.message import HeaderField


def parse(raw: bytes) -> tuple[list[HeaderField], bytes]:
    """Header fields (folds as LF, all after the colon kept) and body (line ends as CRLF) of a message."""
    raw = raw.replace(b"\r\n", b"\n")
    if raw.startswith(b"\n"):
        head, body = b"", raw[1:]
    else:
        head, _, body = raw.partition(b"\n\n")
    headers: list[HeaderField] = []
    for line in head.split(b"\n"):
        if line[:1] in (b" ", b"\t") and headers:
            name, value = headers[-1]
            headers[-1] = HeaderField(name, value + b"\n" + line)
        elif line:
            name, _, value = line.partition(b":")
            headers.append(HeaderField(name, value))
    return headers, body.replace(b"\n", b"\r\n")


def unparse(headers: list[HeaderField], body: bytes) -> bytes:
    """The message as it goes over the wire."""
    lines = [name + b":" + value.replace(b"\n", b"\r\n") + b"\r\n" for name, value in headers]
    return b"".join(lines) + b"\r\n" + body
