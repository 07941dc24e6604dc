"""RFC 5322's lexical tokens (§3.2), as sources of regular expressions.

All of them take linear time whatever they are given: each text matches in one
way at most. Only repetitions of a single character are possessive; those of a
group are not, because Python before 3.11.5 gets them wrong (it goes on from
where the last, failed repetition left off). They are written in characters that mean
the same in ``str`` and ``bytes`` patterns; compile them with ``re.DOTALL``.
White space is that of an unfolded value, space and tab.
"""

from __future__ import annotations

MAX_COMMENT_NESTING = 5
"""Comments nested deeper than this match nothing here. No mail program nests them at all."""

WSP = r"[ \t]"

QUOTED = r'"[^"\\]*+(?:\\.[^"\\]*+)*"'
"""quoted-string (§3.2.4), quotes included."""

ATEXT = r"A-Za-z0-9!#$%&'*+/=?^_`{|}~\-"
"""atext (§3.2.3), for use inside a character class."""


def _comment(nesting: int) -> str:
    inner = "" if nesting == 1 else "|" + _comment(nesting - 1)
    return rf"\([^()\\]*+(?:(?:\\.{inner})[^()\\]*+)*\)"


COMMENT = _comment(MAX_COMMENT_NESTING)
"""comment (§3.2.2), parentheses included."""

CFWS = rf"(?:{WSP}++|{COMMENT})*"
"""Comments and white space, or nothing at all: the optional CFWS of §3.2.2."""
