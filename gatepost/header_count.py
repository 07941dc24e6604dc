"""How often a header field may stand (RFC 5322 §3.6)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from gatepost.message import HeaderField

_REQUIRED = (b"from", b"date")
_AT_MOST_ONE = (
    b"from", b"date", b"sender", b"reply-to", b"to", b"cc", b"bcc", b"message-id", b"in-reply-to", b"references",
    b"subject",
)  # fmt: skip


def count_problem(headers: Iterable[HeaderField]) -> str:
    """The first rule that the header breaks, in words; "" where it breaks none."""
    counts = Counter(field.name.rstrip(b" \t").lower() for field in headers)
    for name in _REQUIRED:
        if not counts[name]:
            return f"no {name.decode().title()} field"
    for name in _AT_MOST_ONE:
        if counts[name] > 1:
            return f"{counts[name]} {name.decode().title()} fields"
    return ""
