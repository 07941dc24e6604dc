"""Versions of Postfix that need a word of warning."""

from __future__ import annotations

import re

_VERSION = re.compile(r"(?:Postfix )?(\d+)\.(\d+)(?:\.(\d+))?(?![\d.])")
# The first release of each line that counts header fields rightly after a policy service's PREPEND.
_MENDED = {(3, 5): 25, (3, 6): 15, (3, 7): 11, (3, 8): 6}


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
