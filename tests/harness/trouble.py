"""What no log of a daemon may say, whatever goes wrong around it."""

from __future__ import annotations

import re

_TROUBLE = re.compile(
    r"Traceback|internal error|worker failed|never awaited|a worker hangs|does not stop in time"
)


def trouble(log: str) -> list[str]:
    """The lines of *log* that tell of a fault of ours."""
    return [line for line in log.splitlines() if _TROUBLE.search(line)]
