"""Results as tables: of text for a terminal, of Markdown for the documentation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.result import COLUMNS, Column, Kind, Result, Row

TITLES: dict[Kind, str] = {
    "throughput": "Throughput and latency",
    "growth": "Growth",
    "latency": "What a mail waits, through Postfix",
    "memory": "Memory",
    "slow": "Slow DNS",
    "floor": "The floor",
}


def rows(result: Result) -> Iterator[list[str]]:
    """The cells of a result, row by row, in the columns of its kind."""
    columns = COLUMNS[result.kind]
    for row in result.rows:
        yield [column.text(row) for column in columns]
    for daemon, reason in result.missing.items():
        yield [daemon, reason, *[""] * (len(columns) - 2)]


def by_kind(results: Sequence[Result]) -> Iterator[tuple[Kind, list[Result]]]:
    """The results in the order of the kinds."""
    for kind in COLUMNS:
        found = [result for result in results if result.kind == kind]
        if found:
            yield kind, found


def text(results: Sequence[Result]) -> Iterator[str]:
    """Lines for a terminal."""
    for kind, some in by_kind(results):
        table = [["", *(column.heading for column in COLUMNS[kind])]]
        for result in some:
            table += _titled(result)
        yield from ("", TITLES[kind], "")
        notes = {daemon for result in some for daemon in result.missing.values()}
        widths = [max(len(row[n]) for row in table if row[n] not in notes) for n in range(len(table[0]))]
        for row in table:
            cells = [
                cell.ljust(width) if place < 2 or cell in notes else cell.rjust(width)
                for place, (cell, width) in enumerate(zip(row, widths, strict=True))
            ]
            yield "  ".join(cells).rstrip()


def markdown(results: Sequence[Result]) -> Iterator[str]:
    """Lines for a page: a heading and a table a kind."""
    for kind, some in by_kind(results):
        columns = COLUMNS[kind]
        yield from (f"### {TITLES[kind]}", "")
        yield "| | " + " | ".join(column.heading for column in columns) + " |"
        yield "| --- " * 2 + "| ---: " * (len(columns) - 1) + "|"
        for result in some:
            for row in _titled(result):
                yield "| " + " | ".join(row) + " |"
        yield ""
        for result in some:
            if result.note:
                yield from (result.note, "")


def _titled(result: Result) -> list[list[str]]:
    """The rows with the result's title in front of the first."""
    found = [["", *row] for row in rows(result)]
    if found:
        found[0][0] = result.title
    return found


def column_of(kind: Kind, key: str) -> Column:
    """A column by its key."""
    return next(column for column in COLUMNS[kind] if column.key == key)


def cell(kind: Kind, key: str, row: Row) -> str:
    """One figure as it is written in the tables."""
    return column_of(kind, key).text(row)
