from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.log_file import LogFile


@pytest.fixture
def log(tmp_path: Path) -> Iterator[LogFile]:
    file = LogFile(tmp_path / "log")
    yield file
    file.close()
