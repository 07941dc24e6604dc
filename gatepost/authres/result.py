"""One result in an Authentication-Results field (RFC 8601 §2.2, "resinfo")."""

from __future__ import annotations

from typing import NamedTuple


class Property(NamedTuple):
    """A propspec: ``ptype.name=value``, as in ``header.d=example.nl`` or ``smtp.mailfrom=a@example.nl``."""

    ptype: str
    name: str
    value: str


class Result(NamedTuple):
    """What one method found.

    ``method`` and ``result`` are the registered words (RFC 8601 §2.7).
    ``reason`` goes out as ``reason="…"``, ``comment`` as a comment behind the
    result. The values may be a stranger's octets: the writer quotes, escapes or
    leaves out whatever could be read as something else.
    """

    method: str
    result: str
    properties: tuple[Property, ...] = ()
    reason: str = ""
    comment: str = ""
