"""Values in a line of the log, which may come from strangers: cut, escaped and quoted."""

from __future__ import annotations

import math
import re
from typing import Final

VALUE_LIMIT: Final = 200
"""The most characters of one value that are written."""

bare = re.compile(r"[!#-\[\]-~]{1,200}").fullmatch
"""Whether a text can stand after ``key=`` as it is: printable ASCII without spaces, quotes and backslashes."""


def _text_of(value: object) -> str:
    """*value* as text of at most the limit, octets that are no UTF-8 as ``\\xNN``."""
    if isinstance(value, str):
        text = value
    elif isinstance(value, bytes):
        text = value[: VALUE_LIMIT * 4].decode("utf-8", "backslashreplace")
    elif isinstance(value, bool):
        text = "yes" if value else "no"
    elif isinstance(value, float):
        text = f"{value:.6g}"
    elif isinstance(value, (list, tuple)):
        text = ",".join(_text_of(item) for item in value[:VALUE_LIMIT])
    else:
        text = str(value)
    if len(text) > VALUE_LIMIT:
        text = text[: VALUE_LIMIT - 1] + "…"
    return text


def escaped(text: str) -> str:
    """*text* with all escaped that is not printable: controls, line separators, bidi marks, surrogates."""
    if text.isprintable():
        return text
    parts = []
    for character in text:
        code = ord(character)
        if character.isprintable():
            parts.append(character)
        elif 0xDC80 <= code <= 0xDCFF:  # an octet that was no UTF-8 (surrogateescape)
            parts.append(f"\\x{code - 0xDC00:02x}")
        elif code < 0x100:
            parts.append(f"\\x{code:02x}")
        else:
            parts.append(f"\\u{code:04x}")
    return "".join(parts)


def quote(value: object) -> str:
    """*value* as it stands after ``key=``: bare where nothing can be misread, else in double quotes."""
    if type(value) is int:
        return str(value)
    text = _text_of(value)
    if bare(text) is not None:
        return text
    text = escaped(text.replace("\\", "\\\\").replace('"', '\\"'))
    return f'"{text}"'


def json_of(value: object) -> object:
    """*value* as JSON can hold it: None, numbers and truths themselves, all else as text within the limit."""
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    text = _text_of(value)
    return (
        text
        if text.isascii()
        else text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    )
