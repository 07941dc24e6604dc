"""Reading fields that bear no seal of ours, from a peer whose word is taken all the same.

Where nothing proves who wrote a field, what it says has to be beyond doubt: it
is believed only if a second reader, the package authres, finds the same
results in it. It is twenty times slower than our own reader and knows fewer
properties, which matters little for a peer that is on its way out.
"""

from __future__ import annotations

import re

import authres

from gatepost.authres.read import ARParseError, Parsed, read
from gatepost.authres.result import Result

_CONTEXT = authres.all_features()
_ASCII = bytes(octet if octet < 0x80 else ord("x") for octet in range(256))
_QUOTED_PAIR = re.compile(r"\\(.)")  # authres leaves the backslashes in a quoted string


def read_unsealed(value: bytes) -> Parsed:
    """Read a field's *value* with both readers.

    Raises :class:`ARParseError` if either cannot read it, or if they differ: in
    the authserv-id, in methods or results or their order, or in the value of a
    property that both have found.
    """
    parsed = read(value)
    # authres knows ASCII only. What lies beyond it means nothing to the structure, so any letter can stand for it.
    ascii_value = value.translate(_ASCII)
    ascii_parsed = read(ascii_value)
    # authres reads nested comments by recursion, which read() has bounded; and wants its white space unfolded.
    # It knows no semicolon at the end, which some write; nothing that it could hide has passed read().
    text = " ".join(ascii_value.decode().split()).rstrip("; ")
    try:
        other = _CONTEXT.parse_value(text)
        same = (
            other.authserv_id == ascii_parsed.authserv_id.lower()
            and len(other.results) == len(ascii_parsed.results) == len(parsed.results)
            and all(map(_agree, ascii_parsed.results, other.results))
        )
    except Exception as error:  # it lets IndexError, RecursionError and others through
        raise ARParseError(f"the second reader cannot read it: {type(error).__name__}") from None
    if not same:
        raise ARParseError("two readers find different results")
    return parsed


def _agree(ours: Result, theirs: authres.core.AuthenticationResult) -> bool:
    if (theirs.method, theirs.result) != (ours.method, ours.result):
        return False
    found = {(prop.ptype, prop.name, prop.value) for prop in ours.properties}
    return all(
        (prop.type, prop.name, prop.value) in found
        or (prop.type, prop.name, _QUOTED_PAIR.sub(r"\1", prop.value)) in found
        for prop in theirs.properties
    )
