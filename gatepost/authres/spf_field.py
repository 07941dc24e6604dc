"""The SPF field: written by the policy service, for milters that cannot see what it speaks of.

Behind a content filter a milter is no longer told the client's address, nor
its HELO. So the field states them itself, in a comment right in front of the
seal: ``(gatepost-spf v1 ip=ADDRESS helo=NAME from=PATH)``, percent-encoded
(RFC 3986 §2.1), so that whatever a stranger said is one word there, losslessly.
Properties will not do: they leave out what cannot be written as RFC 8601 wants.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote_from_bytes, unquote_to_bytes

from gatepost.address.envelope import internal_form
from gatepost.authres.result import Property, Result
from gatepost.authres.seal import SEAL_AT_END, Sealer, spf_subject
from gatepost.authres.write import format_value

LONGEST_VALUE = 960
"""Octets of a value. Postfix takes the field as one line, which has at most 998 octets with its name."""

STATEMENT = b"(gatepost-spf"
"""How the comment begins that states whom a field speaks of."""

_BARE = "@!$&'*/:^`{|}~"
_STATEMENT = re.compile(
    rb"\(gatepost-spf\s+v1\s+ip=([^\s()]*)\s+helo=([^\s()]*)\s+from=([^\s()]*)\s*\)\s*" + SEAL_AT_END.pattern
)
_LONGEST_STATEMENT = 4096


@dataclass(frozen=True, slots=True)
class Stated:
    """Whom an SPF field speaks of, by its own account. Nothing is proved before its seal has been opened."""

    client_address: str
    helo: bytes
    mail_from: bytes

    def speaks_of(self, mail_from: bytes) -> bool:
        """Whether this is about *mail_from*, however either is quoted."""
        return internal_form(self.mail_from) == internal_form(mail_from)

    @property
    def subject(self) -> bytes:
        """What the field's seal was made for, if it is right."""
        return spf_subject(self.client_address, self.helo, self.mail_from)


def write_spf_field(
    authserv_id: str, results: Sequence[Result], stated: Stated, sealer: Sealer, now: float
) -> str | None:
    """Give the value of a sealed field on one line, with *results* about those *stated*.

    Where the line would be too long, addresses are cut to their domains and
    reasons are left out. None where even that is too long, which takes a HELO
    and MAIL FROM of some 600 octets together.
    """
    told = " ".join(
        (
            f"(gatepost-spf v1 ip={quote_from_bytes(stated.client_address.encode('utf-8', 'surrogateescape'), _BARE)}",
            f"helo={quote_from_bytes(stated.helo, _BARE)}",
            f"from={quote_from_bytes(stated.mail_from, _BARE)})",
        )
    )
    for shorten in (False, True):
        given = [_shortened(result) for result in results] if shorten else results
        value = f"{format_value(authserv_id, given, fold=False)} {told}"
        value = sealer.seal(value, stated.subject, now)
        if len(value) <= LONGEST_VALUE:
            return value
    return None


def stated(value: bytes) -> Stated | None:
    """Find what the *value* of a field states; None for a field that is no SPF field of ours."""
    at = value.rfind(STATEMENT)
    if at < 0 or len(value) - at > _LONGEST_STATEMENT:
        return None
    match = _STATEMENT.fullmatch(value, at)
    if match is None:
        return None
    address, helo, mail_from = map(unquote_to_bytes, match.groups()[:3])
    return Stated(address.decode("utf-8", "surrogateescape"), helo, mail_from)


def _shortened(result: Result) -> Result:
    properties = tuple(
        Property(each.ptype, each.name, each.value.rpartition("@")[2]) for each in result.properties
    )
    return result._replace(properties=properties, reason="", comment="")
