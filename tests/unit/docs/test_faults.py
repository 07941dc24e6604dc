"""Each row of docs/faults.md has its tests, and these hold the page to what really happens."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

from tests.unit.docs.fault_table import PAGE, rows

ROOT = PAGE.parents[1]
ROWS = rows(PAGE.read_text())


@cache
def functions(file: Path) -> dict[str, ast.FunctionDef]:
    return {node.name: node for node in ast.parse(file.read_text()).body if isinstance(node, ast.FunctionDef)}


def shown_by(function: ast.FunctionDef) -> set[str]:
    """The faults for which a test calls ``shows``."""
    found = set()
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "shows":
            found |= {
                leaf.value
                for leaf in ast.walk(node.args[0])
                if isinstance(leaf, ast.Constant) and isinstance(leaf.value, str)
            }
    return found


def test_the_page_has_a_table() -> None:
    assert len(ROWS) >= 25


@pytest.mark.parametrize("fault", ROWS)
def test_a_row_has_tests_that_hold_it_to_the_truth(fault: str) -> None:
    assert ROWS[fault].tests
    for test in ROWS[fault].tests:
        file, _, name = test.partition("::")
        assert fault in shown_by(functions(ROOT / file)[name]), test


def test_no_test_shows_what_the_page_does_not_tell() -> None:
    shown = {
        fault
        for file in (ROOT / "tests" / "e2e").glob("test_*.py")
        if "from tests.unit.docs.fault_table import shows" in file.read_text()
        for function in functions(file).values()
        for fault in shown_by(function)
    }
    assert shown == set(ROWS)
