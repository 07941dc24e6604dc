"""The table of docs/faults.md: what the page says of each fault, and the test that holds it to that."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from tests.unit.docs.pages import DOCS

PAGE = DOCS / "faults.md"

_QUOTED = re.compile(r"`([^`]+)`")
_ELLIPSIS = "…"


@dataclass(frozen=True, slots=True)
class Row:
    """One fault: the replies that senders get, the log lines that come, and the tests, by file and name."""

    replies: tuple[str, ...]
    lines: tuple[str, ...]
    tests: tuple[str, ...]


def rows(page: str) -> dict[str, Row]:
    """The faults of a page, by name."""
    found = {}
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.strip().split("|")[1:-1]]
        if len(cells) == 4 and "::" in cells[3]:
            replies, lines, tests = (tuple(_QUOTED.findall(cell)) for cell in cells[1:])
            found[cells[0]] = Row(replies, lines, tests)
    return found


def shows(fault: str, log: str, replies: Iterable[str] = ()) -> None:
    """Assert that *log* has each line that the page quotes for *fault*, and that there were no *replies* but those.

    In a quotation an ellipsis stands for whatever is there.
    """
    row = rows(PAGE.read_text())[fault]
    for line in row.lines:
        assert _pattern(line).search(log), f"{line!r} is not in the log:\n{log}"
    for reply in set(replies):
        assert any(_pattern(quoted).search(reply) for quoted in row.replies), reply


def _pattern(quoted: str) -> re.Pattern[str]:
    return re.compile(".*?".join(map(re.escape, quoted.split(_ELLIPSIS))))
