"""Versions of Postfix that need a word of warning."""

from __future__ import annotations

import re

Line = tuple[int, int]
"""A release line: (3, 8) for 3.8."""

OLDEST_MAINTAINED: Line = (3, 8)
"""The oldest line that Postfix's authors still mend, while 3.11 is the newest: they keep four."""

_VERSION = re.compile(r"(?:Postfix )?(\d+)\.(\d+)(?:\.(\d+))?(?![\d.])")
# The first release of each line that counts header fields rightly after a policy service's PREPEND.
_MENDED = {(3, 5): 25, (3, 6): 15, (3, 7): 11, (3, 8): 6}


def release_line(version: str) -> Line | None:
    """The line that *version* (macro ``v``, or ``mail_version``) is of; None for what is no version."""
    match = re.match(r"(?:Postfix )?(\d+)\.(\d+)", version)
    return (int(match[1]), int(match[2])) if match else None


def miscounts_headers(version: str) -> bool:
    """Whether this Postfix (macro ``v``, or ``mail_version``) deletes the wrong field after a PREPEND.

    What is no released version counts as mended.
    """
    match = _VERSION.match(version)
    if not match:
        return False
    line, patch = (int(match[1]), int(match[2])), int(match[3] or 0)
    if line < min(_MENDED):
        return True
    return line in _MENDED and patch < _MENDED[line]
