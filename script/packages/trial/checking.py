"""What a trial says, and how it fails."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable

from script.packages.tree import PackagingError

_BEGIN = time.monotonic()


class TrialError(PackagingError):
    """A package does not do what it should."""


def tell(text: str) -> None:
    """One line of what goes on, with the seconds since the beginning."""
    print(f"{time.monotonic() - _BEGIN:6.1f} s  {text}", flush=True)


def expect(holds: object, what: str, seen: object = "") -> None:
    """Raises TrialError where *what* does not hold; *seen* is what is there instead."""
    if not holds:
        raise TrialError(f"it does not hold that {what}: {seen}")


def status_of(script: str, trial: Callable[[], None]) -> int:
    """The exit status of *script*, which makes the *trial*: 1 where something did not hold, 130 where it was ended."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # leave as by Ctrl-C: nothing stays behind
    try:
        trial()
    except PackagingError as error:
        print(f"{script}: FAILED: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0
