"""A saved message, read as a stream: from a mailbox, a queue, or a mail program's "save as"."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from gatepost.config.sections import Limits
from gatepost.message import HeaderField

_CHUNK = 64 * 1024
# A field's name is printable ASCII without ":" (RFC 5322 §2.2); white space before the colon is obsolete (§4.5).
_FIELD = re.compile(rb"([!-9;-~]+[ \t]*):(.*)", re.DOTALL)


@dataclass(slots=True)
class Saved:
    """A message whose header has been read; its body is still in the stream, and is never held.

    Field values have folds as a bare LF, as an MTA hands them over. ``oversized``
    says which limit the header broke, "" for none; the rest of the header is
    then left alone, and there is no body. ``mbox`` says that a "From " line of
    a mailbox stood on top. ``stray`` is the number of the line, from 1, that
    ended the header without being empty, 0 for none: the body begins with it.
    """

    headers: list[HeaderField]
    oversized: str
    mbox: bool
    stray: int
    body_size: int = 0
    """Octets of the body so far, line ends counted as CRLF."""
    _stream: BinaryIO | None = None
    _start: bytes = b""

    def body(self) -> Iterator[bytes]:
        """The body in chunks cut anywhere, line ends as CRLF. Can be taken once. Raises OSError."""
        if self._stream is None:
            return
        rest = self._start
        while chunk := self._stream.read(_CHUNK):
            chunk = rest + chunk
            # Half a CRLF waits for its other half.
            rest = b"\r" if chunk.endswith(b"\r") else b""
            if chunk := _crlf(chunk.removesuffix(b"\r")):
                self.body_size += len(chunk)
                yield chunk
        if rest := _crlf(rest):
            self.body_size += len(rest)
            yield rest

    def octets(self) -> Iterator[bytes]:
        """The body in chunks as it stands in the file, in place of ``body``. Raises OSError."""
        if self._start:
            yield self._start
        while self._stream is not None and (chunk := self._stream.read(_CHUNK)):
            yield chunk


def read_saved(stream: BinaryIO, limits: Limits) -> Saved:
    """Read the header of the message in *stream*. Lines end in LF or CRLF. Raises OSError, and nothing else.

    Like an MTA it takes the first line that is neither a field nor the
    continuation of one for the body's first.
    """
    headers: list[HeaderField] = []
    parts: list[bytes] = []
    size = number = 0
    mbox = False

    def saved(oversized: str = "", stray: int = 0, start: bytes = b"") -> Saved:
        _end_field(headers, parts)
        return Saved(headers, oversized, mbox, stray, 0, None if oversized else stream, start)

    while True:
        line = stream.readline(limits.header_bytes + 3)
        number += 1
        if number == 1 and line.startswith(b"From "):
            mbox = True
            line = stream.readline(limits.header_bytes + 3)
            number += 1
        text = _without_end(line)
        if not text:
            return saved()
        size += len(text)
        if size > limits.header_bytes:
            return saved(f"more than {limits.header_bytes} bytes of header")
        if text[0] in b" \t" and parts:
            parts.append(text)
            continue
        if not _FIELD.fullmatch(text):
            return saved(stray=number, start=line)
        _end_field(headers, parts)
        if len(headers) >= limits.header_fields:
            parts.clear()
            return saved(f"more than {limits.header_fields} header fields")
        parts.append(text)


def _end_field(headers: list[HeaderField], parts: list[bytes]) -> None:
    """Make one field of the lines in *parts*."""
    if parts:
        match = _FIELD.fullmatch(b"\n".join(parts))
        assert match is not None
        headers.append(HeaderField(match[1], match[2]))
        parts.clear()


def _without_end(line: bytes) -> bytes:
    return line.removesuffix(b"\n").removesuffix(b"\r") if line.endswith(b"\n") else line


def _crlf(text: bytes) -> bytes:
    return text.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
