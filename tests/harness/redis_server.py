"""A Redis of our own, which a test may kill."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Self

from tests.harness.lasting import Startable
from tests.harness.process import Process

_READY = "eady to accept connections"


class RedisServer(Startable):
    """A Redis (or Valkey) on a unix socket in *directory*, which is to be a short path.

    It keeps on disk what it is told before it says so; a kill loses nothing. ``url`` is its address.
    """

    def __init__(self, directory: Path) -> None:
        self.socket = directory / "redis"
        self.url = f"unix://{self.socket}?db=3"
        program = shutil.which("redis-server") or shutil.which("valkey-server") or "redis-server"
        self.process = Process(
            [program, "--port", "0", "--unixsocket", str(self.socket), "--dir", str(directory),
             "--save", "", "--appendonly", "yes", "--appendfsync", "always"],
            directory / "redis.log",
            ready=lambda: self._starts() > self._before,
        )  # fmt: skip
        self._before = 0

    def _starts(self) -> int:
        return self.process.output().count(_READY)

    def start(self) -> Self:
        """Start it, again where it has been killed."""
        self._before = self._starts()
        self.process.start()
        return self

    def stop(self) -> None:
        """Stop it."""
        self.process.stop()
