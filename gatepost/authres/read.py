"""Reading an Authentication-Results field (RFC 8601 §2.2).

The package authres is not used here (but in ``unsealed``): it takes twenty
times as long, several times as much as all else about a message, and loses
part of what our own daemons write: ptypes like "dns", quoted values with
another property behind them, comments.

Strict where a lenient reader could be made to find a result that nobody
wrote, lenient where widely used writers leave the grammar: values with "=" or
"/" or ":" that are not quoted (OpenDKIM's header.b), an empty value or ``<>``,
properties without a ptype (``action=none``), a missing authserv-id, no semicolon
behind the authserv-id, and semicolons too many.

A comment that touches a value (``header.d=example.nl(.example.com)``) spoils
the field: the grammar allows it, no writer does it on purpose, and peers have
been made to write it by a stranger's d= (CVE-2020-12272). A missing semicolon
between two results spoils it too: it cannot be told from an injected result.

Time is linear in the length of the field.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from gatepost.address.grammar import CFWS, COMMENT, QUOTED
from gatepost.authres.result import Property, Result

MAX_LENGTH = 8 * 1024
"""Octets of a field's value; a longer one is not read."""

_FOLD = re.compile(r"\r?\n(?=[ \t]|\Z)")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)

_TOKEN = r"[!#$%&'*+\-.^_`{|}~0-9A-Za-z\u00a0-\U0010ffff]++"  # noqa: S105
_KEYWORD = r"[A-Za-z0-9](?:[A-Za-z0-9_-]*+)"
_PLAIN = r"[^\x00-\x20()\";<>\\]"
# A pvalue: quoted-string, with "@" domain if it is a local part; <address>; or what stands bare.
_PVALUE = rf"{QUOTED}(?:@{_PLAIN}++)?|<(?:{QUOTED}@)?{_PLAIN}*+>|{_PLAIN}*+"

_CFWS = re.compile(CFWS, re.DOTALL)
_COMMENT_AND_CFWS = re.compile(rf"[ \t]*+(?P<comment>{COMMENT})?{CFWS}", re.DOTALL)
_ID = re.compile(rf"{CFWS}(?P<id>{_TOKEN}|{QUOTED})(?=[ \t;(]|\Z)", re.DOTALL)
_VERSION = re.compile(rf"{CFWS}(?P<version>[0-9]++)(?=[ \t;(]|\Z)(?!{CFWS}[/=])", re.DOTALL)
_METHOD = re.compile(
    rf"{CFWS}(?P<method>{_KEYWORD}){CFWS}(?:/{CFWS}(?P<version>[0-9]++){CFWS})?={CFWS}"
    rf"(?P<result>{_KEYWORD})(?=[ \t;(]|\Z)",
    re.DOTALL,
)
_NONE = re.compile(rf"{CFWS}none{CFWS}(?:;++{CFWS})?\Z", re.DOTALL | re.IGNORECASE)
_REASON = re.compile(
    rf"{CFWS}reason{CFWS}={CFWS}(?P<reason>{QUOTED}|{_PLAIN}++)(?=[ \t;(]|\Z)",
    re.DOTALL | re.IGNORECASE | re.ASCII,
)
_PROPERTY = re.compile(
    rf"{CFWS}(?P<ptype>{_KEYWORD})(?:{CFWS}\.{CFWS}(?P<name>{_KEYWORD}(?:\.{_KEYWORD})*))?{CFWS}={CFWS}",
    re.DOTALL,
)
# What nearly all properties look like. A subset of what _PROPERTY and _value read.
_PLAIN_PROPERTY = re.compile(r"[ \t]*+([a-z]++)\.([a-z]++)=([A-Za-z0-9@./:+_-]++)(?=[ \t;]|\Z)")
_VALUE = re.compile(rf"(?:{_PVALUE})(?=[ \t;]|\Z)", re.DOTALL)
# Words in front of a "=" that begin a result of their own. Without a semicolon there, nothing is sure.
_METHODS = frozenset(
    [
        *("arc", "auth", "dkim", "dkim-adsp", "dkim-atps", "dmarc", "dnswl", "domainkeys", "iprev"),
        *("none", "rrvs", "sender-id", "smime", "spf", "vbr"),
    ]
)


class ARParseError(ValueError):
    """The field cannot be read. The text says why, in printable ASCII."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a field says.

    ``authserv_id`` is as it was written, without quotes, or "" where the writer
    gave none. ``results`` are in the field's order, methods, results and the
    names of properties in lower case; empty for ``none``. The ptype of a property
    written without one is "". A result's comment is the one right behind the
    result word. Results of an unknown method version (RFC 8601 §2.6) are left out.
    """

    authserv_id: str
    results: tuple[Result, ...]


def read(value: bytes) -> Parsed:
    """Read a field's *value*, as it came (folds included). Raises :class:`ARParseError`."""
    text = _text(value)
    authserv_id, position = _authserv_id(text)
    if _NONE.match(text, position):
        return Parsed(authserv_id, ())
    results: list[Result] = []
    count = 0
    reasoned = "reason" in text.lower()
    while position < len(text):
        result, position = _result(text, position, reasoned)
        count += 1
        if result is not None:
            results.append(result)
        position = _after_semicolons(text, position)
    if not count:
        raise ARParseError("no results")
    return Parsed(authserv_id, tuple(results))


def _text(value: bytes) -> str:
    if len(value) > MAX_LENGTH:
        raise ARParseError(f"longer than {MAX_LENGTH} octets")
    try:
        text = value.decode()
    except UnicodeDecodeError:
        raise ARParseError("octets that are not UTF-8") from None
    if "\n" in text:
        text = _FOLD.sub("", text)
    if _CONTROL.search(text):
        raise ARParseError("control characters")
    return text


def _authserv_id(text: str) -> tuple[str, int]:
    """Read up to the first result: the id, "" if there is none, and where to go on."""
    if _METHOD.match(text):
        return "", 0
    match = _ID.match(text)
    if match is None:
        raise ARParseError("no authserv-id")
    position = match.end()
    if version := _VERSION.match(text, position):
        if version["version"] != "1":
            raise ARParseError("an unknown version of the field")  # RFC 8601 §2.2
        position = version.end()
    return _unquoted(match["id"]), _after_semicolons(text, position)


def _after_semicolons(text: str, position: int) -> int:
    """Skip comments, white space and semicolons."""
    while True:
        if (match := _CFWS.match(text, position)) is not None:
            position = match.end()
        if text[position : position + 1] != ";":
            return position
        position += 1


def _result(text: str, position: int, reasoned: bool) -> tuple[Result | None, int]:
    """Read one resinfo, up to the semicolon or the end. No result: its version is unknown.

    *reasoned* says that there may be a reason.
    """
    head = _METHOD.match(text, position)
    if head is None:
        raise ARParseError("no method and result where one should be")
    comment = ""
    position = head.end()
    if match := _COMMENT_AND_CFWS.match(text, position):
        comment = _without_pairs((match["comment"] or "")[1:-1])
        position = match.end()
    reason = ""
    if reasoned and (match := _REASON.match(text, position)):
        reason = _unquoted(match["reason"])
        position = match.end()
    properties = []
    while True:
        if match := _PLAIN_PROPERTY.match(text, position):
            properties.append(Property(*match.groups()))
            position = match.end()
        elif match := _PROPERTY.match(text, position):
            ptype, name = match["ptype"].lower(), match["name"]
            if name is None:
                if ptype in _METHODS:
                    raise ARParseError("no semicolon in front of a result")
                ptype, name = "", ptype
            value, position = _value(text, match.end())
            properties.append(Property(ptype, name.lower(), value))
        else:
            break
    if (match := _CFWS.match(text, position)) is not None:
        position = match.end()
    if text[position : position + 1] not in (";", ""):
        raise ARParseError("text that is no property")
    if head["version"] not in (None, "1"):
        return None, position
    return (
        Result(head["method"].lower(), head["result"].lower(), tuple(properties), reason, comment),
        position,
    )


def _value(text: str, position: int) -> tuple[str, int]:
    """Read a property's value: without the brackets of ``<address>``, or the quotes of a quoted string."""
    match = _VALUE.match(text, position)
    if match is None:
        raise ARParseError("a bad value, or one that a comment touches")
    value = match[0]
    if value[:1] == "<":
        value = value[1:-1]
    elif "=" in value and value[:1] != '"' and text[position - 1] != "=":
        # "smtp.helo= header.from=example.nl": an empty value, or a value with "="?
        raise ARParseError("a value that could be the next property")
    return _unquoted(value), match.end()


def _unquoted(value: str) -> str:
    if value[:1] == '"' and value[-1:] == '"':
        return _without_pairs(value[1:-1])
    return value


def _without_pairs(text: str) -> str:
    return _QUOTED_PAIR.sub(r"\1", text) if "\\" in text else text
