"""Saved messages: what is header, what is body, and what cannot be read."""

from __future__ import annotations

import io
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.config.sections import Limits
from gatepost.examine.saved import Saved, read_saved

LIMITS = Limits()


def read(raw: bytes, limits: Limits = LIMITS) -> tuple[Saved, bytes]:
    saved = read_saved(io.BytesIO(raw), limits)
    return saved, b"".join(saved.body())


@pytest.mark.parametrize(
    ("raw", "headers", "body"),
    [
        (b"A: 1\nB:2\n\nx\n", [(b"A", b" 1"), (b"B", b"2")], b"x\r\n"),
        (b"A: 1\r\nB:2\r\n\r\nx\r\n", [(b"A", b" 1"), (b"B", b"2")], b"x\r\n"),
        (b"A: 1\n 2\n\t3\n\nx", [(b"A", b" 1\n 2\n\t3")], b"x"),
        (b"A: 1\r\n 2\r\n\r\nx", [(b"A", b" 1\n 2")], b"x"),
        (b"A : 1\n\n", [(b"A ", b" 1")], b""),
        (b"A:\n\n", [(b"A", b"")], b""),
        (b"A: 1", [(b"A", b" 1")], b""),
        (b"A: 1\n", [(b"A", b" 1")], b""),
        (b"A: \xff\x00\n\n", [(b"A", b" \xff\x00")], b""),
        (b"A: 1\rB: 2\n\n", [(b"A", b" 1\rB: 2")], b""),
        (b"\nx\n", [], b"x\r\n"),
        (b"", [], b""),
        (b"From a Thu\nA: 1\n\nFrom b\n", [(b"A", b" 1")], b"From b\r\n"),
        (b"A: 1\n\na\r\nb\nc\rd\r\n\r", [(b"A", b" 1")], b"a\r\nb\r\nc\rd\r\n\r"),
    ],
)
def test_header_and_body(raw: bytes, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    saved, found = read(raw)
    assert (saved.headers, found) == (headers, body)
    assert (saved.oversized, saved.stray, saved.body_size) == ("", 0, len(body))
    assert saved.mbox == raw.startswith(b"From ")


@pytest.mark.parametrize(
    ("raw", "fields", "stray", "body"),
    [
        (b"A: 1\nno field\nB: 2\n", 1, 2, b"no field\r\nB: 2\r\n"),
        (b" fold\nA: 1\n", 0, 1, b" fold\r\nA: 1\r\n"),
        (b"From x\nFrom y\n", 0, 2, b"From y\r\n"),
        (b"\x7fELF", 0, 1, b"\x7fELF"),
        (b": 1\n", 0, 1, b": 1\r\n"),
    ],
)
def test_what_is_no_field_ends_the_header(raw: bytes, fields: int, stray: int, body: bytes) -> None:
    saved, found = read(raw)
    assert (len(saved.headers), saved.stray, found) == (fields, stray, body)


@pytest.mark.parametrize(
    ("raw", "oversized", "fields"),
    [
        (b"A: " + b"x" * 2000 + b"\n\nbody", "more than 1024 bytes of header", 0),
        (b"A: 1\n" + b" x\n" * 1000 + b"\nbody", "more than 1024 bytes of header", 1),
        (b"A: 1\n" * 11 + b"\nbody", "more than 10 header fields", 10),
    ],
)
def test_limits(raw: bytes, oversized: str, fields: int) -> None:
    limits = Limits.model_validate({"header_bytes": 1024, "header_fields": 10})
    saved, body = read(raw, limits)
    assert (saved.oversized, len(saved.headers), body) == (oversized, fields, b"")


def test_ten_fields_are_not_eleven() -> None:
    saved, body = read(b"A: 1\n" * 10 + b"\nx", Limits.model_validate({"header_fields": 10}))
    assert (saved.oversized, len(saved.headers), body) == ("", 10, b"x")


class Endless(io.RawIOBase):
    """As many octets as asked for, up to *size*, without a line end."""

    def __init__(self, start: bytes, size: int) -> None:
        self._start, self._left = start, size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer)  # type: ignore[arg-type]
        data = self._start[: len(view)] or b"\r" * min(len(view), self._left)
        if not self._start:
            self._left -= len(data)
        self._start = self._start[len(data) :]
        view[: len(data)] = data
        return len(data)


@pytest.mark.parametrize("start", [b"A: 1\n\n", b"A: "])
def test_memory_is_bounded(start: bytes) -> None:
    stream = io.BufferedReader(Endless(start, 64 << 20))
    tracemalloc.start()
    try:
        saved = read_saved(stream, LIMITS)
        size = sum(map(len, saved.body()))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert size == (0 if saved.oversized else 64 << 20)
    assert peak < 8 << 20


@given(st.binary(max_size=300) | st.text(alphabet="aF:\r\n \t").map(str.encode))
def test_any_octets(raw: bytes) -> None:
    saved, body = read(raw)
    assert saved.body_size == len(body)
    assert b"\n" not in body.replace(b"\r\n", b"")
    for name, value in saved.headers:
        assert name
        assert b":" not in name
        assert all(line[:1] in b" \t" for line in value.split(b"\n")[1:])
