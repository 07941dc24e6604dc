"""docs/conformance.md: each place in the code exists, and each test."""

from __future__ import annotations

import re

import pytest

from tests.unit.docs.definitions import definitions
from tests.unit.docs.pages import DOCS

PAGE = (DOCS / "conformance.md").read_text()
ROWS = re.findall(r"(?m)^\| ([^|]+) \| [^|]+ \| `([^`|]+)` \| `([^`|]+)` \|$", PAGE)


def test_every_row_is_read() -> None:
    body = PAGE[: PAGE.index("## Where we differ")]
    rows = [line for line in body.splitlines() if line.startswith("| ") and "---" not in line]
    headings = body.count("| clause |")
    assert len(ROWS) == len(rows) - headings > 90


@pytest.mark.parametrize(("clause", "place", "test"), ROWS, ids=[" ".join(row[0::2]) for row in ROWS])
def test_the_place_and_the_test_exist(clause: str, place: str, test: str) -> None:
    file, _, name = place.partition(":")
    assert file.startswith(("gatepost/", "milters/", "policy/"))
    assert name in definitions(file), place
    file, _, name = test.partition(":")
    assert file.startswith("tests/")
    assert name.startswith("test_")
    assert name in definitions(file), test


@pytest.mark.parametrize(
    "number", ["6376", "8301", "8463", "8601", "6008", "7208", "7372", "8616", "9989", "5321", "5322"]
)
def test_no_standard_is_forgotten(number: str) -> None:
    """A clause is of the RFC of its heading, unless it names another."""
    of = [heading for heading in re.findall(r"(?m)^## (.+)$", PAGE) if number in heading]
    assert of or any(clause.startswith(number) for clause, _, _ in ROWS)
