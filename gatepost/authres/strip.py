"""Which Authentication-Results fields speak in our name (RFC 8601 §5).

What a stranger wrote under our authserv-id has to go before anyone believes
it. The readers further down are many and lenient, so the question is not only
what the grammar says, but whether any of them could take the field for ours.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

from gatepost.address.grammar import COMMENT, QUOTED
from gatepost.domains import InvalidNameError, to_ascii

MAX_HEAD = 64 * 1024
"""Octets of a value in which the id has to be found; the rest is not looked at."""

_MAX_NON_ASCII_ID = 1024
"""Octets of an internationalised id that is still looked at; a longer one counts as unreadable."""

_CFWS = re.compile(
    rf"(?:[ \t]++|\r?\n(?=[ \t]|\Z)|{COMMENT})*".encode(),
    re.DOTALL,
)
# token (RFC 2045 §5.1), with UTF-8 (RFC 8616 §5), or quoted-string.
_PIECE = re.compile(
    rb"[!#$%&'*+\-.^_`{|}~0-9A-Za-z\x80-\xff]++|" + QUOTED.encode(),
    re.DOTALL,
)
_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`{|}~0-9A-Za-z\x80-\xff]++")
_BORDER = re.compile(rb"[ \t;(]|\r?\n(?=[ \t]|\Z)|\Z")
_QUOTED_PAIR = re.compile(rb"\\(.)", re.DOTALL)
_FOLD = re.compile(rb"\r?\n(?=[ \t])")


class Ids:
    """The names under which this site writes results: its authserv-id and the aliases.

    Built once. Case, a final dot, and U-labels or A-labels make no difference.
    """

    def __init__(self, authserv_id: str, aliases: Iterable[str] = ()) -> None:
        self._names: Final = frozenset(
            form for name in (authserv_id, *aliases) if name for form in (_plain(name), _normal(name)) if form
        )
        self._longest: Final = max((len(name) for name in self._names), default=0)

    def __contains__(self, name: str) -> bool:
        """Whether *name*, as read from a field, is one of ours."""
        return (_plain(name) if name.isascii() else _normal(name)) in self._names

    @property
    def longest(self) -> int:
        """The length of the longest of our names, in characters."""
        return self._longest


def claims(value: bytes, ids: Ids) -> bool:
    """Whether an Authentication-Results field with this *value* claims to be ours, or hides whose it is.

    The authserv-id is the first token or quoted string behind white space,
    folds and comments. Fields whose id cannot be read are True: no id, a
    control character, an octet that belongs to neither token nor delimiter
    before the id ends, 8-bit octets that are no domain, a comment or quote
    without end, more than 64 kB of comments. A readable foreign id is False, whatever follows it.
    Takes linear time, raises nothing.
    """
    if len(value) > MAX_HEAD:
        value = value[:MAX_HEAD]
    piece = _PIECE.match(value, _after_cfws(value, 0))
    if piece is None:
        return True
    name = _meant(piece[0])
    position = piece.end()
    if name is None or _BORDER.match(value, position) is None:
        return True
    mine = _is_mine(name, ids)
    if mine is not False:
        return True
    # A reader that removes comments and white space first would join what they part ("mail. (x) example.nl").
    while len(name) <= ids.longest:
        position = _after_cfws(value, position)
        piece = _PIECE.match(value, position)
        more = _meant(piece[0]) if piece is not None else None
        if piece is None or more is None:
            return False
        name += more
        position = piece.end()
        if _is_mine(name, ids):
            return True
    return False


def _after_cfws(value: bytes, position: int) -> int:
    match = _CFWS.match(value, position)
    return match.end() if match is not None else position


def _meant(piece: bytes) -> bytes | None:
    """Take the quotes from an id. None: what they held is no id."""
    if piece[:1] != b'"':
        return piece
    inner = _QUOTED_PAIR.sub(rb"\1", _FOLD.sub(b"", piece[1:-1])).strip(b" \t")
    return inner if _TOKEN.fullmatch(inner) else None


def _is_mine(name: bytes, ids: Ids) -> bool | None:
    """Whether an id is ours. None: it cannot be read."""
    if name.isascii():
        return name.decode("ascii") in ids
    if len(name) > _MAX_NON_ASCII_ID:
        return None
    try:
        text = name.decode()
    except UnicodeDecodeError:
        return None
    return None if not _normal(text) else text in ids


def _plain(name: str) -> str:
    return name.casefold().rstrip(".")


def _normal(name: str) -> str:
    """Give *name* with A-labels, or "" if it is no domain."""
    try:
        return to_ascii(unicodedata.normalize("NFKC", name).rstrip(".\u3002"))
    except InvalidNameError:
        return ""
