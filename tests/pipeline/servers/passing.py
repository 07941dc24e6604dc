"""A content filter that filters nothing, on Amavis' ports: for what Amavis would be too slow to show."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from tests.harness.passthrough import PassThrough
from tests.harness.ports import listening
from tests.harness.process import Process

WAYS = {10024: 10025, 10028: 10027}
"""Where mail comes in, and where it goes on to."""


def passing(directory: Path) -> list[Process]:
    """The filter, a process for each way, not started yet."""
    return [_process(directory, port, target) for port, target in WAYS.items()]


def _process(directory: Path, port: int, target: int) -> Process:
    command = [sys.executable, "-m", __name__, str(port), str(target)]
    return Process(command, directory / f"passing.{port}.log", ready=lambda: listening(port))


def main(arguments: Sequence[str]) -> int:
    """Serve one way until the end."""
    port, target = map(int, arguments)
    with ExitStack() as running:
        running.enter_context(PassThrough(target, port))
        while True:
            signal.pause()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
