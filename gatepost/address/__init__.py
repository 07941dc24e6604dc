"""Mailboxes in header fields (RFC 5322 §3.4), read strictly."""

from gatepost.address.mailbox import (
    AddressError,
    BadSyntax,
    Mailbox,
    NoAuthor,
    SeveralAddresses,
    SeveralFields,
)
from gatepost.address.parse import author, parse_mailboxes

__all__ = [
    "AddressError",
    "BadSyntax",
    "Mailbox",
    "NoAuthor",
    "SeveralAddresses",
    "SeveralFields",
    "author",
    "parse_mailboxes",
]
