r"""Octets as text: quoted strings, one for each line of what they hold.

What is printable stands for itself, in UTF-8; ``\r``, ``\n``, ``\t``, ``\\`` and
``\"`` are as in C, and any other octet is ``\xNN``. ``"text" * 20`` is the
text twenty times over. Strings that follow each other on lines of their own
are one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby

LONGEST = 120
"""Octets in one quoted string; a multiple of many small numbers, so that what repeats itself cuts evenly."""

_ESCAPES = {"\r": "\\r", "\n": "\\n", "\t": "\\t", "\\": "\\\\", '"': '\\"'}
_MEANINGS = {"r": b"\r", "n": b"\n", "t": b"\t", "\\": b"\\", '"': b'"'}
_PLAIN = re.compile(rb"[ !#-\[\]-~]*")
_LINES = re.compile(rb"[^\n]{1,%d}\n?|\n" % LONGEST)
_ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|(.))", re.DOTALL)


def quote(octets: bytes) -> str:
    """*octets* as one quoted string."""
    if _PLAIN.fullmatch(octets):
        return f'"{octets.decode("ascii")}"'
    return '"' + "".join(map(_escaped, octets.decode("utf-8", "surrogateescape"))) + '"'


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isprintable():
        return character
    return "".join(f"\\x{octet:02x}" for octet in character.encode("utf-8", "surrogateescape"))


def unquote(text: str) -> bytes:
    """What stands between the quotes of a string, as octets. Raises ValueError for an escape that is none."""
    if "\\" not in text:
        return text.encode("utf-8")
    parts: list[bytes] = []
    end = 0
    for escape in _ESCAPE.finditer(text):
        parts.append(text[end : escape.start()].encode("utf-8"))
        end = escape.end()
        if escape[1]:
            parts.append(bytes.fromhex(escape[1]))
        elif escape[2] in _MEANINGS:
            parts.append(_MEANINGS[escape[2]])
        else:
            raise ValueError(f"\\{escape[2]} is no escape")
    parts.append(text[end:].encode("utf-8"))
    return b"".join(parts)


def strings(octets: bytes) -> Iterator[str]:
    """*octets* as quoted strings, cut at line ends and where a line is long, repetitions counted."""
    for piece, run in groupby(_LINES.findall(octets)):
        count = sum(1 for _ in run)
        yield quote(piece) if count == 1 else f"{quote(piece)} * {count}"
