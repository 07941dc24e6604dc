"""What tests of several rooms share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.log_file import LogFile


@pytest.fixture
def log(tmp_path: Path) -> Iterator[LogFile]:
    with LogFile(tmp_path / "log") as file:
        yield file
