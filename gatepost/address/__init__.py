"""Mailboxes in header fields (RFC 5322 §3.4), read strictly."""

from gatepost.address.mailbox import (
    AddressError,
    BadSyntax,
    Mailbox,
    NoAuthor,
    SeveralDomains,
    SeveralFields,
)
from gatepost.address.parse import authors, parse_mailboxes

__all__ = [
    "AddressError",
    "BadSyntax",
    "Mailbox",
    "NoAuthor",
    "SeveralDomains",
    "SeveralFields",
    "authors",
    "parse_mailboxes",
]
