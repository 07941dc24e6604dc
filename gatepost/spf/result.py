"""What an SPF check comes to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

MAX_TEXT = 300
"""Characters of any text in a result that may be a stranger's; the rest is cut."""

_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\xa0]+")
_FOREIGN = re.compile(r"[^ -~]")


class Verdict(StrEnum):
    """The result of check_host() (RFC 7208 §2.6), in the words of RFC 8601 §2.7.2."""

    NONE = "none"
    """There is nothing to check: no domain, or a domain without a record."""
    NEUTRAL = "neutral"
    """The domain says nothing about this client."""
    PASS = "pass"  # noqa: S105
    """The domain authorizes the client."""
    FAIL = "fail"
    """The domain says that the client is not authorized."""
    SOFTFAIL = "softfail"
    """The domain says that the client is probably not authorized."""
    TEMPERROR = "temperror"
    """The DNS did not tell. Asking again later may help."""
    PERMERROR = "permerror"
    """The domain's records cannot be understood, or are too costly to evaluate (§4.6.4)."""


class Identity(StrEnum):
    """Whose domain was checked (RFC 7208 §2.3, §2.4)."""

    HELO = "helo"
    MAIL_FROM = "mailfrom"


@dataclass(frozen=True, slots=True)
class SpfResult:
    """One check.

    ``domain`` is the identity's domain, as A-labels in lower case; "" where it
    has none. ``mechanism`` is the term of the domain's own record that decided,
    as written; "" where none matched. ``record`` is that record, "" if there is
    none. ``explanation`` is what the domain says to those who fail (§6.2);
    ``problem`` tells, in one line, why the verdict is an error, or none without
    a question asked. ``lookups`` counts the terms that cost DNS look-ups,
    ``void_lookups`` those that found nothing (§4.6.4). ``fault`` is not empty
    where the check itself broke, which somebody ought to log; the verdict is
    then temperror.

    All texts but ``record`` are printable ASCII of at most MAX_TEXT characters.
    """

    verdict: Verdict
    identity: Identity
    domain: str
    mechanism: str = ""
    record: str = ""
    explanation: str = ""
    problem: str = ""
    lookups: int = 0
    void_lookups: int = 0
    fault: str = ""


def safe(text: str, limit: int = MAX_TEXT) -> str:
    """Give *text* as printable ASCII: controls as one space, other characters as "?".

    A stranger's explanation goes into an SMTP reply and a log: no line may end in it.
    """
    return _FOREIGN.sub("?", _UNSEEN.sub(" ", text[:limit]).strip(" "))
