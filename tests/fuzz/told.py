"""What an error may say."""

from __future__ import annotations

LONGEST = 200


def check_told(error: Exception) -> None:
    """One line of bounded length, printable: it may end in a log or a reply."""
    text = str(error)
    assert text
    assert text.isprintable()
    assert len(text) <= LONGEST
