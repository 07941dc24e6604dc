"""Each threat of docs/threat-model.md has a measure and tests, and the tests exist."""

from __future__ import annotations

import re

import pytest

from tests.unit.docs.definitions import definitions
from tests.unit.docs.pages import DOCS

PAGE = (DOCS / "threat-model.md").read_text()
_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")

ROWS = [
    [cell.strip() for cell in row.strip("|").split(" | ")]
    for row in re.findall(r"(?m)^\|.*`tests/.*\|$", PAGE)
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_threat_has_a_measure_and_tests_that_exist(row: list[str]) -> None:
    threat, measure, tests = row
    assert threat
    assert measure
    for file, name in _TEST.findall(tests):
        assert name in definitions(file)
    assert _TEST.sub("", tests).strip(" `|") == ""


def test_every_row_of_a_table_of_threats_names_a_test() -> None:
    tables = re.findall(r"(?m)^\| threat \|.*\n\|[ |-]+\|\n((?:\|.*\n)+)", PAGE)
    rows = [row for table in tables for row in table.splitlines()]
    assert len(tables) >= 9
    assert [row for row in rows if not _TEST.search(row)] == []
    assert len(rows) == len(ROWS)


def test_every_part_says_what_is_left() -> None:
    """A part without that would claim that nothing is."""
    parts = [part for part in PAGE.split("\n## ") if "| threat |" in part]
    silent = [part.splitlines()[0] for part in parts if "\nLeft" not in part]
    assert silent == ["Owners of domains", "Peers that speak milter or policy"]
