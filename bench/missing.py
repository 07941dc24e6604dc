"""What is not here, and so cannot be measured."""

from __future__ import annotations

import shutil


class MissingError(Exception):
    """Something that a measurement needs is not here; the text says what."""


def need(*commands: str) -> None:
    """Raise MissingError unless all these commands are installed."""
    missing = [command for command in commands if shutil.which(command) is None]
    if missing:
        raise MissingError(f"not installed: {', '.join(missing)}")
