from __future__ import annotations

import json
import logging
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatepost.log import Format, Level, Logger
from gatepost.log.libraries import Bridge
from gatepost.log.logger import LINE_LIMIT
from gatepost.log.value import VALUE_LIMIT, quote

STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d gatepost/test\[\d+\]: ")


class Pipe:
    """A log that ends in a pipe, and what came out."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        self.logs: list[Logger] = []
        os.set_blocking(self.reader, False)

    def log(self, level: Level = "debug", format: Format = "text") -> Logger:
        self.logs.append(Logger(level, format, "test", self.writer))
        return self.logs[-1]

    def read(self) -> bytes:
        try:
            return os.read(self.reader, 1 << 20)
        except BlockingIOError:
            return b""

    def line(self) -> str:
        data = self.read()
        assert data.endswith(b"\n")
        assert data.count(b"\n") == 1
        assert len(data) <= LINE_LIMIT
        return data[:-1].decode()

    def close(self) -> None:
        for log in self.logs:
            log.close()
        os.close(self.reader)
        os.close(self.writer)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    made.close()


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("plain", "plain"),
        ("a@example.nl", "a@example.nl"),
        ("header.d=x", "header.d=x"),
        ("", '""'),
        ("two words", '"two words"'),
        ('x" verdict="pass', '"x\\" verdict=\\"pass"'),
        ("back\\slash", '"back\\\\slash"'),
        ("a\nB1: verdict=pass", '"a\\x0aB1: verdict=pass"'),
        ("a\r\x00\x1b[2J\x7f", '"a\\x0d\\x00\\x1b[2J\\x7f"'),
        ("a\x85b\u2028c\u202ed\ufeff", '"a\\x85b\\u2028c\\u202ed\\ufeff"'),
        ("é日本", '"é日本"'),
        (b"raw\xff\n", '"raw\\\\xff\\x0a"'),
        ("raw\udcff", '"raw\\xff"'),
        ("\ud800", '"\\ud800"'),
        (7, "7"),
        (0.1234567, "0.123457"),
        (True, "yes"),
        (["a", "b"], "a,b"),
        (["a b", 1], '"a b,1"'),
        ("x" * VALUE_LIMIT, "x" * VALUE_LIMIT),
        ("x" * (VALUE_LIMIT + 1), '"' + "x" * (VALUE_LIMIT - 1) + '…"'),
        (b"x" * 10_000_000, '"' + "x" * (VALUE_LIMIT - 1) + '…"'),
    ],
)
def test_quote(value: object, shown: str) -> None:
    assert quote(value) == shown


def unquoted(line: str) -> list[str]:
    """The fields of a line as a reader takes them apart."""
    return re.findall(r' ([a-z]+)=("(?:[^"\\]|\\.)*"|[^ "]*)(?= |$)', line)


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.text(), st.binary(), st.text('"\\ =\n\r\x00ab\u2028')))
def test_nothing_forges_a_field(value: str | bytes) -> None:
    line = f"X: first={quote(value)} last=1"
    assert [field[0] for field in unquoted(line)] == ["first", "last"]
    assert line.isprintable()


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.sampled_from(["a", "b", "c"]), st.one_of(st.text(), st.binary(), st.floats())))
def test_json_is_always_one_object(fields: dict[str, object]) -> None:
    pipe = Pipe()
    try:
        pipe.log(format="json").event("info", "x\n\u2028", **fields)
        shown = json.loads(pipe.line(), parse_constant=lambda name: pytest.fail(name))
        assert shown["level"] == "info"
        assert set(fields) <= set(shown)
    finally:
        pipe.close()


def test_the_line_of_a_message(pipe: Pipe) -> None:
    pipe.log().message("4XyZ12", client="192.0.2.1", verdict="accept", nothing=None)
    line = pipe.line()
    assert STAMP.match(line)
    assert STAMP.sub("", line) == "4XyZ12: client=192.0.2.1 verdict=accept"


@pytest.mark.parametrize(
    ("queue_id", "shown"), [("", "NOQUEUE:"), ("a b\nc", '"a b\\x0ac":'), ("A" * 300, "…"), ("A:", "A::")]
)
def test_odd_queue_ids(pipe: Pipe, queue_id: str, shown: str) -> None:
    pipe.log().message(queue_id, x=1)
    line = STAMP.sub("", pipe.line())
    assert shown in line
    assert line.endswith(": x=1")


def test_levels(pipe: Pipe) -> None:
    log = pipe.log("warning")
    log.event("info", "no")
    log.message("A1", x="no")
    log.event("debug", "no")
    assert pipe.read() == b""
    log.event("error", "yes")
    assert pipe.line().endswith(": error: yes")
    log.adjust("info", "json")
    log.message("A1", x="yes")
    assert json.loads(pipe.line())["queue_id"] == "A1"


def test_json_fields(pipe: Pipe) -> None:
    pipe.log(format="json").event("warning", "said", count=2, level="forged", raw=b"\xff", x='"')
    shown = json.loads(pipe.line())
    assert (shown["level"], shown["message"], shown["daemon"], shown["pid"]) == (
        "warning",
        "said",
        "test",
        os.getpid(),
    )
    assert (shown["count"], shown["raw"], shown["x"]) == (2, "\\xff", '"')


@pytest.mark.parametrize("format_", ["text", "json"])
@pytest.mark.parametrize("value", ["x" * 500, "\u2028" * 500, *(n * "a" + 500 * "日" for n in range(3))])
def test_a_line_has_a_bound(pipe: Pipe, format_: Format, value: str) -> None:
    pipe.log(format=format_).event("info", value * 10, **{f"key{i}": value for i in range(40)})
    line = pipe.line()
    if format_ == "json":
        assert json.loads(line)["cut"] is True


def test_the_journal_gets_priorities(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    status = os.fstat(pipe.writer)
    monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
    log = pipe.log()
    log.message("A1", x=1)
    assert pipe.line() == "<6>A1: x=1"
    log.event("error", "bad", x=1)
    assert pipe.line() == "<3>bad x=1"
    monkeypatch.setenv("JOURNAL_STREAM", "1:2")  # standard error was sent elsewhere
    pipe.log().event("info", "x")
    assert STAMP.match(pipe.line())


def test_a_full_pipe_costs_lines_only(pipe: Pipe) -> None:
    log = pipe.log()
    written = 0
    while log.dropped < 3:
        log.event("info", "x" * 300)
        written += 1
    before = pipe.read().decode()
    assert before.count("xxx\n") == written - 3
    log.event("info", "after")
    after = pipe.read().decode()
    assert after.endswith(": after\n")
    told = re.findall(r"log lines were lost: .* lines=(\d+)\n", before + after)
    assert sum(map(int, told)) == 3


def test_a_full_socket_costs_lines_only() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        log = Logger("info", "text", "test", ours.fileno())
        for _ in range(100_000):
            log.event("info", "x" * 300)
            if log.dropped:
                break
        assert log.dropped == 1
        log.close()


def test_a_reader_that_is_gone(pipe: Pipe) -> None:
    log = pipe.log()
    os.close(pipe.reader)
    log.event("info", "x")
    log.event("info", "x")
    assert log.dropped == 2
    pipe.reader = os.dup(pipe.writer)


def test_a_file(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as file:
        Logger("info", "text", "test", file.fileno()).event("info", "x")
    assert (tmp_path / "log").read_text().endswith(": x\n")


def test_a_failure_is_one_line(pipe: Pipe) -> None:
    try:
        raise ValueError("bad\nthing")
    except ValueError as error:
        pipe.log().failure("broke", error, queue_id="A1")
    line = pipe.line()
    assert 'broke queue_id=A1 error="ValueError: bad\\x0athing" at=test_log.py:' in line


def test_libraries(pipe: Pipe) -> None:
    logger = logging.Logger("library")
    logger.addHandler(Bridge(pipe.log()))
    logger.warning("odd: %s\nforged", 1)
    assert pipe.line().endswith("warning: odd: 1 source=library")
    try:
        raise KeyError("x")
    except KeyError:
        logger.exception("broke")
    assert "KeyError: 'x'" in pipe.line()
