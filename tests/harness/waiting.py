"""Waiting for something to become true, with a deadline and a reason."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")

PATIENCE = 60.0
"""Seconds after which what has not come will not come any more: many, as the machine may be busy with other things."""

_PAUSE = 0.01


def wait_for(condition: Callable[[], Found], what: str, timeout: float = PATIENCE) -> Found:
    """Ask *condition* again and again until it gives something true, and return that.

    Raises TimeoutError, naming *what* was awaited, after *timeout* seconds.
    """
    deadline = time.monotonic() + timeout
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: nothing after {timeout:g} s")
        time.sleep(_PAUSE)
