"""The strict reader of From fields (``gatepost.address``).

- BadSyntax with a printable reason, and nothing else; no more mailboxes than taken.
- A domain is one that the DNS can carry; a local part holds nothing that could be read as another address.
- An address written again (``addr_spec``) is read as itself, and folds make no difference.
- Behind a display name that lacks its quotes, the address is what stands in the last angle brackets.
- Python's own readers see the same address wherever the field has no quotes, comments or encoded words in it:
  what another reader shows is what a policy was applied to.
"""

from __future__ import annotations

from email.utils import getaddresses

from gatepost.address.mailbox import AddressError, BadSyntax
from gatepost.address.parse import MAX_LENGTH, MAX_MAILBOXES, authors, parse_mailboxes
from gatepost.domains import LONGEST_NAME, to_ascii
from tests.fuzz.told import check_told

SEEDS = (
    b" Anna <anna@example.nl>",
    b' "Anna, of \\"Example\\"" <anna@example.nl>',
    b" anna@example.nl (Anna (the) \\( one)",
    b" a@example.nl, B <b@example.org>",
    b' "a@b"@example.nl',
    b" John Q. Public <j.q@example.nl>",
    " Mü <mü@müller.example>".encode(),
    b" =?utf-8?q?Anna?= <anna@example.nl>",
    b" group: a@example.nl;",
    b" <@route:a@example.nl>",
    b" Doe, J [x] <j@example.nl>",
    b" j@example.nl <j@example.nl>",
    b" a@[192.0.2.1]",
    b" (c) a (c) @ (c) example.nl (c)",
    b" Anna\n\t<anna@example.nl>\n ",
    b" \xff@example.nl",
    "a\uff20b@example.nl".encode(),
)
WORDS = (
    b"<", b">", b'"', b"(", b")", b"\\", b"@", b",", b";", b":", b"\n\t", b"=?utf-8?q?", b"?=", b"xn--", b"[",
    b"\xef\xbc\xa0", b"\xe2\x80\xa8", b"example.nl",
)  # fmt: skip


def check(data: bytes) -> None:
    try:
        mailboxes = parse_mailboxes(data)
    except BadSyntax as error:
        check_told(error)
        _behind_a_careless_name(data)
        return
    assert len(data) <= MAX_LENGTH
    assert 0 < len(mailboxes) <= MAX_MAILBOXES
    for mailbox in mailboxes:
        assert to_ascii(mailbox.domain) == mailbox.domain
        assert len(mailbox.domain) <= LONGEST_NAME
        assert mailbox.local_part or '""' in data.decode()
        assert not set(mailbox.local_part + mailbox.display) & set("\0\r\n\u2028\u2029")
        (again,) = parse_mailboxes(f" <{mailbox.addr_spec}>".encode())
        assert (again.local_part, again.domain) == (mailbox.local_part, mailbox.domain)
    if b"\n" not in data:
        folded = parse_mailboxes(data.replace(b" ", b"\n "))
        assert [each.addr_spec for each in folded] == [each.addr_spec for each in mailboxes]
    try:
        assert authors([data]) == mailboxes
        assert len({mailbox.domain for mailbox in mailboxes}) == 1
    except AddressError:
        assert len({mailbox.domain for mailbox in mailboxes}) > 1
    _as_others_see_it(data, [mailbox.addr_spec for mailbox in mailboxes])


def _behind_a_careless_name(data: bytes) -> None:
    try:
        (mailbox,) = authors([data])
    except AddressError:
        return
    address = data[data.rindex(b"<") : data.rindex(b">") + 1]
    (again,) = parse_mailboxes(address)
    assert (again.local_part, again.domain) == (mailbox.local_part, mailbox.domain)


def _as_others_see_it(data: bytes, addresses: list[str]) -> None:
    text = data.decode()
    # Quotes, comments and backslashes are where they go wrong, and they know no U-labels.
    if not text.isascii() or set(text) & set('"()\\'):
        return
    seen = [address.lower() for _, address in getaddresses([text.replace("\n", "")])]
    assert seen == [address.lower() for address in addresses]
