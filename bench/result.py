"""What a measurement came to: rows of figures, which are shown as text, Markdown, HTML and JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

Kind = Literal["throughput", "growth", "latency", "memory", "slow", "floor"]
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Result:
    """Times are in seconds, memory in octets, rates in pieces of work a second.

    ``missing`` tells by daemon why it has no rows; ``axis`` is what a growth
    is over; ``note`` what a reader has to know.
    """

    name: str
    title: str
    kind: Kind
    rows: Sequence[Row]
    missing: Mapping[str, str] = field(default_factory=dict)
    axis: str = ""
    note: str = ""


@dataclass(frozen=True)
class Run:
    """All results of one run, on which machine, and when."""

    machine: Mapping[str, str]
    quick: bool
    seconds: float
    results: Sequence[Result]

    def write(self, file: Path) -> None:
        """Write it as JSON."""
        file.write_text(json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def read(cls, file: Path) -> Run:
        """Read what ``write`` wrote. Raises OSError, ValueError."""
        found = json.loads(file.read_text())
        try:
            found["results"] = [Result(**each) for each in found["results"]]
            return cls(**found)
        except (KeyError, TypeError) as error:
            raise ValueError(f"{file}: not from this program: {error}") from None


@dataclass(frozen=True)
class Column:
    """One column of a table: the row's key, the heading, and how a value is written."""

    key: str
    heading: str
    write: Callable[[Any], str] = str

    def text(self, row: Row) -> str:
        """The cell; empty where the row has nothing for it."""
        value = row.get(self.key)
        return "" if value is None else self.write(value)


def duration(seconds: float) -> str:
    """A time in the unit that suits it."""
    if abs(seconds) < 0.001:
        return f"{seconds * 1e6:.0f} µs"
    if abs(seconds) < 0.1:
        return f"{seconds * 1e3:.2f} ms"
    return f"{seconds * 1e3:.0f} ms" if abs(seconds) < 10 else f"{seconds:.1f} s"


def rate(value: float) -> str:
    """A rate with three digits that count."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def times(value: float) -> str:
    """A ratio."""
    return f"{value:.2f}x"


def wanted(value: float) -> str:
    """A ratio that is aimed at."""
    return f"{value:g}x"


def megabytes(octets: float) -> str:
    """Memory."""
    return f"{octets / 1024 / 1024:.1f} MB"


def part(value: float) -> str:
    """A part of the whole."""
    return f"{value:.0%}"


_DAEMON = Column("daemon", "daemon")

COLUMNS: Mapping[Kind, Sequence[Column]] = {
    "throughput": (
        _DAEMON,
        Column("rate", "per second", rate),
        Column("ratio", "gatepost to it", times),
        Column("target", "wanted", wanted),
        Column("p50", "p50", duration),
        Column("p99", "p99", duration),
        Column("p50_alone", "p50 alone", duration),
        Column("cpu", "CPU each", duration),
        Column("cpu_ratio", "CPU to gatepost", times),
        Column("share", "load", part),
    ),
    "growth": (
        _DAEMON,
        Column("x", "at"),
        Column("rate", "per second", rate),
        Column("p50", "p50", duration),
        Column("p99", "p99", duration),
        Column("cpu", "CPU each", duration),
    ),
    "latency": (
        _DAEMON,
        Column("further_added", "added to a mail", duration),
        Column("target", "wanted at most", duration),
        Column("further", "whole mail", duration),
        Column("session_added", "added to a session", duration),
        Column("session", "whole session", duration),
    ),
    "memory": (
        _DAEMON,
        Column("idle", "idle", megabytes),
        Column("small", "100 clients, 1 MB each", megabytes),
        Column("large", "100 clients, 10 MB each", megabytes),
        Column("target", "wanted at most", megabytes),
    ),
    "slow": (
        _DAEMON,
        Column("p50_before", "p50 before", duration),
        Column("p50", "p50 beside slow ones", duration),
        Column("p99_before", "p99 before", duration),
        Column("p99", "p99 beside slow ones", duration),
        Column("slow", "slow ones answered", str),
    ),
    "floor": (
        Column("daemon", "work"),
        Column("cpu", "CPU each", duration),
        Column("floor", "floor", duration),
        Column("ratio", "times the floor", times),
        Column("parts", "made of"),
    ),
}
