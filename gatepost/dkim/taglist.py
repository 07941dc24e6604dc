"""Tag lists, ``tag=value; tag=value`` (RFC 6376 §3.2): signatures and key records are written in them."""

from __future__ import annotations

import re

_TAG_NAME = re.compile(rb"[A-Za-z][A-Za-z0-9_]*")
# The tags of signatures and key records: nothing else is to be seen in practice.
_USUAL = frozenset(b"v a b bh c d h i l q s t x z k n p g".split())
# tval is VALCHAR (printable, no ";") and FWS; octets over 127 are EAI (RFC 8616 §4).
_ALLOWED = bytes([0x09, *range(0x20, 0x7F), *range(0x80, 0x100)])


class TagListError(ValueError):
    """The octets are no tag list; the text says why, for an operator."""


def parse(text: bytes, limit: int) -> dict[bytes, bytes]:
    """The tags and their values, folds and surrounding white space removed, in the order written.

    Raises TagListError where *text* is longer than *limit* octets or breaks the
    grammar. A tag that stands twice spoils the whole list, as §3.2 demands.
    """
    if len(text) > limit:
        raise TagListError(f"longer than {limit} octets")
    if b"\n" in text:
        text = text.replace(b"\r\n", b"").replace(b"\n", b"")
    if text.translate(None, _ALLOWED):
        raise TagListError("control character")
    tags: dict[bytes, bytes] = {}
    text = text.strip()
    if not text:
        return tags
    # One ";" at the end is a matter of taste.
    for spec in text.removesuffix(b";").split(b";"):
        name, equals, value = spec.partition(b"=")
        name = name.strip()
        if not equals:
            raise TagListError("not of the form tag=value")
        if name not in _USUAL and not _TAG_NAME.fullmatch(name):
            raise TagListError("malformed tag name")
        if name in tags:
            raise TagListError("a tag stands twice")
        tags[name] = value.strip()
    return tags


def squeezed(value: bytes) -> bytes:
    """*value* without any white space: for base64, which may be folded anywhere."""
    return b"".join(value.split())
