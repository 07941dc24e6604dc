"""What a DNS question can come to: five different things, which callers must tell apart.

RFC 6376 §6.1.2, RFC 7208 §4.4 and RFC 9989 §4.10 all give "there is no such
record" and "we could not find out" different results.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """How a question ended."""

    FOUND = "found"
    """There are records of the type asked for."""
    NODATA = "nodata"
    """The name exists and has no record of that type (RFC 2308 §2.2)."""
    NXDOMAIN = "nxdomain"
    """The name does not exist, or is no name the DNS could carry (a label over 63 octets)."""
    SERVFAIL = "servfail"
    """The servers answered, but not the question: SERVFAIL, REFUSED, lame, bogus or garbage."""
    TIMEOUT = "timeout"
    """Nobody answered in the time allowed, or the message's budget was spent."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one question.

    ``records`` is empty unless the outcome is FOUND. Their type follows the
    question: TXT ``bytes`` (the strings of one record joined), A and AAAA
    ``str``, MX ``(int, str)``, PTR and CNAME ``str``; names without the final
    dot, the root as "" (the null MX, RFC 7505). ``authentic`` is the AD bit
    (RFC 6840 §5.8) of the answer. ``detail`` tells an operator why it failed,
    in one line.
    """

    outcome: Outcome
    records: tuple[object, ...] = ()
    authentic: bool = False
    detail: str = ""

    @property
    def temporary(self) -> bool:
        """Whether asking again later may give another answer."""
        return self.outcome in (Outcome.SERVFAIL, Outcome.TIMEOUT)
