"""What a trial says, and how it fails."""

from __future__ import annotations

import time

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
