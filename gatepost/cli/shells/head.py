"""How each shell's file begins."""

from __future__ import annotations


def head(shell: str) -> str:
    """What the file is and where it comes from, without the mark of a comment."""
    return f"completion of the gatepost command; made by `gatepost completion {shell}`"
