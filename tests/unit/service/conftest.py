"""Services that are over when the test is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.service.support import Make, Service


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Make]:
    made: list[Service] = []

    def make(**options: Any) -> Service:
        made.append(Service(tmp_path, **options))
        return made[-1]

    yield make
    for each in made:
        each.__exit__(None, None, None)
