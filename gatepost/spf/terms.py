"""What the terms of an SPF record say, as far as it is the same for every message: read once, and kept.

One record is read for all mail of its domain, and the same includes stand in
thousands of records. What is kept is bounded in number and in size.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

import spf

from gatepost.spf.macros import MacroError, check_syntax

OCTETS_A_TERM = 16
"""A longer term counts for several: one that is full of macros takes as long to read as thousands of networks."""

LONGEST_KEPT = 512
"""Octets of the longest record that is kept as read."""

_RECORDS_KEPT = 2048
_MODIFIER = re.compile(r"([a-z][a-z0-9_.-]*)=", re.IGNORECASE)
_INCLUDE = re.compile(r"[-+?~]?include:([^%]+)", re.IGNORECASE)


class Terms(NamedTuple):
    """A record's terms.

    ``text`` is the record for pyspf, which would take unknown modifiers that
    come twice for an error (RFC 7208 §6 has them ignored). ``includes`` are
    the names of records that it will probably ask for; ``redirects`` says that
    there is a redirect.
    """

    text: str
    includes: tuple[str, ...]
    redirects: bool


def weight(record: str) -> int:
    """How many terms *record* has; long ones count for several."""
    terms = record.count(" ") + 1
    return max(terms, (len(record) - terms + 1) // OCTETS_A_TERM)


def terms_of(record: str) -> Terms:
    """The terms of *record*. Raises spf.PermError for an unknown modifier that breaks the grammar."""
    return _kept(record) if len(record) <= LONGEST_KEPT else _read(record)


def _read(record: str) -> Terms:
    version, *terms = record.split(" ")
    usable, includes, redirects = [version], [], False
    for term in terms:
        modifier = _MODIFIER.match(term)
        if modifier is None:
            usable.append(term)
            include = _INCLUDE.fullmatch(term)
            if include is not None:
                includes.append(include[1].lower().removesuffix("."))
        elif (name := modifier[1].lower()) in ("redirect", "exp"):
            usable.append(name + term[modifier.end() - 1 :])
            redirects = redirects or name == "redirect"
        else:
            try:
                check_syntax(term[modifier.end() :])
            except MacroError as error:
                raise spf.PermError(str(error), term) from None
    return Terms(" ".join(usable), tuple(includes), redirects)


_kept = lru_cache(_RECORDS_KEPT)(_read)
