"""Addresses of the envelope: the reverse-path and forward-paths of RFC 5321 §4.1.2, without angle brackets."""

from __future__ import annotations

import re

_QUOTED = re.compile(rb'"([^"\\]*+(?:\\.[^"\\]*+)*)"@([^@]*)', re.DOTALL)
_QUOTED_PAIR = re.compile(rb"\\(.)", re.DOTALL)


def internal_form(path: bytes) -> bytes:
    r"""Give *path* without the quotes and backslashes of a quoted local part.

    An MTA shows one address in two ways: as it came over SMTP (``"a b"@c``) to
    milters, and as it is meant (``a b@c``) to policy services.
    """
    if path[:1] != b'"':
        return path
    match = _QUOTED.fullmatch(path)
    return _QUOTED_PAIR.sub(rb"\1", match[1]) + b"@" + match[2] if match else path
