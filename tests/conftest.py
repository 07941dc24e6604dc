"""What holds for all tests."""

from __future__ import annotations

from pathlib import Path

import pytest

_END_TO_END = Path(__file__).parent / "e2e"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything under tests/e2e runs a private Postfix, and bears the mark that says so."""
    for item in items:
        if _END_TO_END in item.path.parents:
            item.add_marker("e2e")
