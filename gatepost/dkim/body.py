"""Body canonicalisation and hashing (RFC 6376 §3.4.3, §3.4.4, §3.7), as the body streams by.

Theory: in both canonicalisations the only text whose form depends on what
comes later is white space at the end: it may turn out to be the end of a
line, blank lines, or the end of the body. So all up to the last octet that is
no white space is canonicalised and hashed at once, and the blanks behind it
are kept, reduced to a count of line ends and at most a few octets. Memory is
constant whatever the body is; the work is done by ``bytes.replace`` and
``rstrip``, which run at memory speed; a regular expression sees runs of three
spaces and more alone.
"""

from __future__ import annotations

import hashlib
import re
from abc import ABC, abstractmethod

_NEWLINES = b"\r\n" * 4096
# Indentation, as HTML has it. A pair costs less to replace than to match. So does a run of three, half as much, but
# what indents by two spaces has all even numbers of them, and is done in one pass of each kind.
_LONG_RUN = b"   "
# Written out, not as " {3,}": a literal beginning is searched for three times as fast.
_LONG_RUNS = re.compile(_LONG_RUN + b"+")


class BodyDigest:
    """SHA-256 over the first *limit* octets of a canonical body; None: over all of it."""

    def __init__(self, limit: int | None) -> None:
        self._hash = hashlib.sha256()
        self._left = limit
        self.length = 0
        """Octets of the canonical body so far, hashed or not."""

    def update(self, data: bytes) -> None:
        """Take the next canonical octets."""
        self.length += len(data)
        if self._left is None:
            self._hash.update(data)
        elif self._left > 0:
            self._hash.update(data[: self._left])
            self._left -= len(data)

    def digest(self) -> bytes:
        """The hash, to compare with bh=."""
        return self._hash.digest()


class BodyCanonicalizer(ABC):
    """Feeds one canonical form of a body to the digests that want it.

    ``update`` takes chunks cut anywhere; ``finish`` ends the body, once.
    """

    def __init__(self) -> None:
        self._digests: dict[int | None, BodyDigest] = {}
        self._newlines = 0
        self._rest = b""
        self._empty = True

    def digest(self, limit: int | None) -> BodyDigest:
        """The digest over the first *limit* octets (l=), the same one for every signature that asks."""
        return self._digests.setdefault(limit, BodyDigest(limit))

    @abstractmethod
    def update(self, chunk: bytes) -> None:
        """Take the next octets of the body."""

    @abstractmethod
    def finish(self) -> None:
        """There is no more body."""

    def _emit(self, data: bytes) -> None:
        self._empty = False
        for digest in self._digests.values():
            digest.update(data)

    def _emit_newlines(self) -> None:
        while self._newlines:
            count = min(self._newlines, len(_NEWLINES) // 2)
            self._emit(_NEWLINES[: 2 * count])
            self._newlines -= count


class SimpleBody(BodyCanonicalizer):
    """The "simple" body (§3.4.3): as it is, less empty lines at its end; an empty body is one CRLF."""

    def update(self, chunk: bytes) -> None:
        """Take the next octets of the body."""
        if self._rest:
            chunk = self._rest + chunk
            self._rest = b""
        text, tail = _split(chunk, b"\r\n")
        if text:
            self._emit_newlines()
            self._emit(text)
        self._newlines += len(tail) // 2
        self._rest = tail[len(tail) & ~1 :]

    def finish(self) -> None:
        """There is no more body."""
        if self._rest:
            self._emit_newlines()
            self._emit(self._rest)
        self._emit(b"\r\n")


class RelaxedBody(BodyCanonicalizer):
    """The "relaxed" body (§3.4.4): white space reduced, none at the end of a line; an empty body is empty."""

    def update(self, chunk: bytes) -> None:
        """Take the next octets of the body."""
        if self._rest:
            chunk = self._rest + chunk
        text, tail = _split(chunk, b" \t\r\n")
        if text:
            self._emit_newlines()
            self._emit(_reduced(text))
        if tail == b"\r\n":
            self._newlines += 1
            self._rest = b""
        else:
            tail = _reduced(tail)
            lines = tail.count(b"\r\n")
            self._newlines += lines
            self._rest = tail[2 * lines :]

    def finish(self) -> None:
        """There is no more body."""
        if self._rest.endswith(b"\r"):
            self._emit_newlines()
            self._emit(self._rest)
        if not self._empty:
            self._emit(b"\r\n")


def _split(data: bytes, blanks: bytes) -> tuple[bytes, bytes]:
    """*data* as (text, tail); the tail is blank lines and, at its very end, white space or half a CRLF."""
    end = len(data.rstrip(blanks))
    tail = data[end:]
    if tail == b"\r\n":
        return data[:end], tail
    # A CR or LF on its own is no line end but text: the tail begins behind the last of them.
    marked = tail.replace(b"\r\n", b"  ")
    bare = max(marked.rfind(b"\n"), marked.rfind(b"\r", 0, max(len(marked) - 1, 0)))
    end += bare + 1
    return data[:end], data[end:]


def _reduced(text: bytes) -> bytes:
    """*text* with each run of white space as one space, and none before a line end."""
    if b"\t" in text:
        text = text.replace(b"\t", b" ")
    if b"  " in text:
        if _LONG_RUN in text:
            text = b" ".join(_LONG_RUNS.split(text))  # faster than sub
        text = text.replace(b"  ", b" ")
    if b" \r\n" in text:
        text = text.replace(b" \r\n", b"\r\n")
    return text


BODY_CANONICALIZATIONS = {"simple": SimpleBody, "relaxed": RelaxedBody}


class BodyHasher:
    """All the hashes of a body that a message's signatures need, each canonical form made once."""

    def __init__(self) -> None:
        self._forms: dict[str, BodyCanonicalizer] = {}

    def digest(self, canonicalization: str, limit: int | None = None) -> BodyDigest:
        """Ask for a digest, before the first chunk; it is complete after ``finish``."""
        form = self._forms.get(canonicalization)
        if form is None:
            form = self._forms[canonicalization] = BODY_CANONICALIZATIONS[canonicalization]()
        return form.digest(limit)

    @property
    def wanted(self) -> bool:
        """Whether any digest was asked for."""
        return bool(self._forms)

    def update(self, chunk: bytes) -> None:
        """Take the next octets of the body, cut anywhere."""
        for form in self._forms.values():
            form.update(chunk)

    def finish(self) -> None:
        """There is no more body."""
        for form in self._forms.values():
            form.finish()
