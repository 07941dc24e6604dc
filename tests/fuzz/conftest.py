"""What the targets stand on goes with the last test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fuzz import scene


@pytest.fixture(scope="session", autouse=True)
def _left() -> Iterator[None]:
    yield
    scene.leave()
