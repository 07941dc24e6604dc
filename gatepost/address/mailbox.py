"""A mailbox (RFC 5322 §3.4), and the ways in which a field can fail to hold one."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gatepost.address.grammar import ATEXT

_DOT_ATOM = re.compile(rf"[{ATEXT}\u0080-\U0010ffff]+(?:\.[{ATEXT}\u0080-\U0010ffff]+)*")


class AddressError(ValueError):
    """The field does not hold what it should. The text says why, in printable ASCII."""


class BadSyntax(AddressError):  # noqa: N818
    """The field is no mailbox-list in the strict sense of RFC 5322 §3.4 and RFC 6532."""


class NoAuthor(AddressError):  # noqa: N818
    """There is no From field (RFC 5322 §3.6 asks for one)."""


class SeveralFields(AddressError):  # noqa: N818
    """There is more than one From field (RFC 5322 §3.6 allows one)."""


@dataclass(frozen=True, slots=True)
class Mailbox:
    """One mailbox.

    ``local_part`` is what is meant, not how it is written: without the quotes
    and backslashes of a quoted string. ``domain`` is lower case, U-labels as
    A-labels (RFC 5890), without a final dot. ``display`` is the display name,
    or the comment that stands in for one, as it was written: encoded words
    (RFC 2047) are not decoded. It is a stranger's text and proves nothing.
    """

    local_part: str
    domain: str
    display: str = ""

    @property
    def addr_spec(self) -> str:
        """The address as it is written, with a quoted local part where it has to be one (RFC 5322 §3.4.1)."""
        if _DOT_ATOM.fullmatch(self.local_part):
            return f"{self.local_part}@{self.domain}"
        escaped = self.local_part.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"@{self.domain}'


class SeveralDomains(AddressError):  # noqa: N818
    """The field holds mailboxes of more than one domain: all of them are in ``mailboxes``."""

    def __init__(self, mailboxes: list[Mailbox]) -> None:
        super().__init__(f"{len(mailboxes)} addresses that are not of one domain")
        self.mailboxes = mailboxes
