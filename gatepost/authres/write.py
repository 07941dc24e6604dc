"""Writing an Authentication-Results field (RFC 8601 §2.2).

Domains, selectors, senders and error texts are strangers' octets. Whatever is
put into the field here is a token, a domain, an address or a quoted string, or
it is left out: no value can end its property, its result, its line or the field.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from gatepost.address.grammar import ATEXT
from gatepost.authres.result import Result
from gatepost.domains import InvalidNameError, to_ascii

MAX_TEXT = 200
"""Characters of a reason or comment that are written; the rest is cut."""

MAX_WORD = 900
"""Octets of the longest property as written; a longer one is left out, so that no line exceeds 998 octets."""

_LINE = 78
_LONGEST_ID = 255

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`{|}~0-9A-Za-z]++")
_DOMAIN = r"[A-Za-z0-9_-]++(?:\.[A-Za-z0-9_-]++)*"
# What may stand bare as a pvalue: a token (RFC 2045 §5.1), a domain, or dot-atom "@" domain.
_BARE = re.compile(rf"{_TOKEN.pattern}|(?:[{ATEXT}]++(?:\.[{ATEXT}]++)*)?@{_DOMAIN}")
_KEYWORD = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?")
_PRINTABLE = re.compile(r"[ -~]*+")
_UNPRINTABLE = re.compile(r"[^ -~]")
_TO_ESCAPE_IN_COMMENT = re.compile(r'[()\\"]')


def format_value(authserv_id: str, results: Sequence[Result], *, fold: bool = True) -> str:
    r"""Give the field's value, without the space that follows the colon.

    No results give ``none``. Folds are "\n\t": in front of each result, and
    where a line would exceed 78 characters; without *fold* all is one line.
    All is ASCII, which any message may hold: an *authserv_id* in Unicode is
    written as its A-label (RFC 8616 §5), a property with other octets is left out.

    Raises ValueError for an *authserv_id*, method or result that cannot be
    written: those are our own words, never a stranger's.
    """
    identifier = _identifier(authserv_id)
    if not results:
        return f"{identifier}; none"
    parts = [identifier]
    for result in results:
        words = _words(result)
        line = " ".join(words)
        parts.append(_folded(words) if fold and len(line) > _LINE - 2 else line)
    return (";\n\t" if fold else "; ").join(parts)


@lru_cache(maxsize=64)
def _identifier(authserv_id: str) -> str:
    """Give the authserv-id as it is written: a token, or else a quoted string."""
    if not authserv_id.isascii():
        try:
            authserv_id = to_ascii(authserv_id)
        except InvalidNameError as error:
            raise ValueError(f"authserv-id {authserv_id!r}: {error}") from None
    if _TOKEN.fullmatch(authserv_id):
        written: str | None = authserv_id
    elif authserv_id and len(authserv_id.split()) == 1:
        written = _quoted(authserv_id)
    else:
        written = None
    if written is None or len(written.encode()) > _LONGEST_ID:
        raise ValueError(f"cannot be an authserv-id: {authserv_id!r}")
    return written


@lru_cache(maxsize=256)
def _methodspec(method: str, result: str) -> str:
    if not (_KEYWORD.fullmatch(method) and _KEYWORD.fullmatch(result)):
        raise ValueError(f"not a method and a result: {method!r}, {result!r}")
    return f"{method}={result}"


@lru_cache(maxsize=256)
def _property_name(ptype: str, name: str) -> str:
    """Give ``ptype.name=``, or "" for what is no pair of keywords."""
    if not (_KEYWORD.fullmatch(ptype) and _KEYWORD.fullmatch(name)):
        return ""
    return f"{ptype}.{name}="


def _words(result: Result) -> list[str]:
    """Give one resinfo as words, between which there may be a space or a fold."""
    words = [_methodspec(result.method, result.result)]
    if result.comment:
        words.append(_comment(result.comment[:MAX_TEXT]))
    if result.reason:
        words.append(f"reason={_in_quotes(_text(result.reason))}")
    for prop in result.properties:
        value = _value(prop.value)
        name = _property_name(prop.ptype, prop.name)
        if value is not None and name and len(name) + len(value) <= MAX_WORD:
            words.append(name + value)
    return words


def _value(value: str) -> str | None:
    """Give a property's value as it is written; None if it cannot be."""
    if value.isalnum() and value.isascii() and len(value) <= MAX_WORD:
        return value
    if len(value) > MAX_WORD or "=?" in value or value[:1] == "?":
        # A reader that decodes the field first (RFC 2047) would find whatever an encoded word holds.
        return None
    return value if _BARE.fullmatch(value) else _quoted(value)


def _quoted(value: str) -> str | None:
    return _in_quotes(value) if _PRINTABLE.fullmatch(value) else None


def _in_quotes(text: str) -> str:
    if '"' in text or "\\" in text:
        text = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


@lru_cache(maxsize=256)
def _comment(text: str) -> str:
    """Give a comment, its parentheses included; of *text* no more than is written."""
    return f"({_TO_ESCAPE_IN_COMMENT.sub(_escaped, _text(text))})"


def _text(text: str) -> str:
    """Give a reason or comment as printable ASCII of bounded length, without encoded words (RFC 2047)."""
    text = _UNPRINTABLE.sub("?", text[:MAX_TEXT])
    while "=?" in text:  # "==?" becomes one first
        text = text.replace("=?", "?")
    return text


def _escaped(match: re.Match[str]) -> str:
    return "\\" + match[0]


def _folded(words: list[str]) -> str:
    """Join the words of one result, on lines that begin with a tab."""
    lines = []
    line = words[0]
    for word in words[1:]:
        # The tab in front, the space between, and the semicolon that may follow.
        if len(line) + len(word) > _LINE - 3:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}"
    lines.append(line)
    return "\n\t".join(lines)
