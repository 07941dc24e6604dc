"""Clocks that a test turns, while that of the host stays as it is: of running daemons, and of one process."""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

from tests.harness.lasting import Closeable

# The offset lies in a page that the daemon's processes share with us; each look at the clock reads it.
_START = """\
import mmap, runpy, struct, sys, time
with open(sys.argv[1], "rb") as file:
    page = mmap.mmap(file.fileno(), 8, access=mmap.ACCESS_READ)
real = time.time
time.time = lambda: real() + struct.unpack_from("d", page)[0]
sys.argv = ["gatepost", *sys.argv[2:]]
runpy.run_module("gatepost", None, "__main__", True)
"""


class Clock(Closeable):
    """The time of whatever is started by ``command``: that of the host, and ``offset`` seconds.

    Seconds that are counted (``time.monotonic``) go on as ever, as they do
    when an administrator or NTP sets a clock.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        file.write_bytes(bytes(8))
        with file.open("r+b") as opened:
            self._page = mmap.mmap(opened.fileno(), 8)

    @property
    def offset(self) -> float:
        """Seconds ahead of the host's clock."""
        offset: float = struct.unpack_from("d", self._page)[0]
        return offset

    @offset.setter
    def offset(self, seconds: float) -> None:
        struct.pack_into("d", self._page, 0, seconds)

    def close(self) -> None:
        """Let go of the page; daemons that run keep theirs."""
        self._page.close()

    def command(self, command: list[str]) -> list[str]:
        """*command*, a ``PYTHON -m gatepost ...``, with this clock."""
        python, _, _, *arguments = command
        return [python, "-c", _START, str(self._file), *arguments]


class Seconds:
    """A clock within one process: ``now`` seconds, which pass when they are told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now
