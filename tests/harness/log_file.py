"""A log that can be read again."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from gatepost.log import Logger
from tests.harness.lasting import Closeable


class LogFile(Closeable):
    """``log`` writes into *path*; ``lines`` are what was written, ``messages`` the words of its events."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a+b")
        self.log = Logger(format="json", daemon="test", stream=self._file.fileno())

    @property
    def lines(self) -> list[dict[str, Any]]:
        os.lseek(self._file.fileno(), 0, os.SEEK_SET)
        return [json.loads(line) for line in self._file.read().splitlines()]

    @property
    def messages(self) -> list[str]:
        return [line["message"] for line in self.lines if "message" in line]

    def close(self) -> None:
        self.log.close()
        self._file.close()
