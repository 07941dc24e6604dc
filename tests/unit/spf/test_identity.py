"""Who is checked, from what a client says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.address.envelope import internal_form
from gatepost.spf.identity import NoIdentityError, identity_of, sender_of
from gatepost.spf.result import Identity


@pytest.mark.parametrize(
    ("helo", "mail_from", "local_part", "domain"),
    [
        (b"mx.example.org", b"bob@example.org", "bob", "example.org"),
        (b"mx.example.org", b"", "postmaster", "mx.example.org"),
        (b"MX.Example.ORG.", b"", "postmaster", "mx.example.org"),
        (b"[192.0.2.1]", b"bob@Example.ORG", "bob", "example.org"),
        (b"x", b"@example.org", "postmaster", "example.org"),
        (b"x", b"example.org", "postmaster", "example.org"),
        (b"x", b"a@b@example.org", "a@b", "example.org"),
        (b"x", b'"a@b"@example.org', "a@b", "example.org"),
        (b"x", b'"a\\"b\\\\"@example.org', 'a"b\\', "example.org"),
        (b"x", b'"a"b@example.org', '"a"b', "example.org"),
        (b"x", b"\xc3\xbc@b\xc3\xbccher.example", "ü", "xn--bcher-kva.example"),
        (b"x", b"\xff@example.org", "\udcff", "example.org"),
    ],
)
def test_senders(helo: bytes, mail_from: bytes, local_part: str, domain: str) -> None:
    sender = sender_of(helo, mail_from)
    assert (sender.local_part, sender.domain) == (local_part, domain)
    assert sender.identity is (Identity.MAIL_FROM if mail_from else Identity.HELO)


@pytest.mark.parametrize(
    ("helo", "mail_from"),
    [
        (b"", b""),
        (b"localhost", b""),
        (b"[192.0.2.1]", b""),
        (b"[IPv6:2001:db8::1]", b""),
        (b"192.0.2.1:25", b""),
        (b"a b.example", b""),
        (b"mx.example.org" * 30, b""),
        (b"mx.example.org", b"bob"),
        (b"mx.example.org", b"bob@"),
        (b"mx.example.org", b"bob@localhost"),
        (b"mx.example.org", b"bob@[192.0.2.1]"),
        (b"mx.example.org", b"bob@a..example"),
        (b"mx.example.org", b"bob@" + b"a" * 64 + b".example"),
        (b"mx.example.org", b"bob@\xff.example"),
        (b"mx.example.org", b"b" * 1000 + b"@example.org"),
    ],
)
def test_nobody(helo: bytes, mail_from: bytes) -> None:
    with pytest.raises(NoIdentityError):
        sender_of(helo, mail_from)


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_nothing_else_is_raised(helo: bytes, mail_from: bytes) -> None:
    try:
        assert sender_of(helo, mail_from).identity is identity_of(mail_from)
    except NoIdentityError:
        pass


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (b"", b""),
        (b"a@b", b"a@b"),
        (b'"a"@b', b"a@b"),
        (b'"a@b"@c', b"a@b@c"),
        (b'"a\\@b"@c', b"a@b@c"),
        (b'"a\\\\"@c', b"a\\@c"),
        (b'"a"@b@c', b'"a"@b@c'),
        (b'"a@c', b'"a@c'),
        (b'"a\\"@c', b'"a\\"@c'),
        (b'"' * 50_000, b'"' * 50_000),
        (b'"' + b"\\" * 50_001, b'"' + b"\\" * 50_001),
    ],
)
def test_internal_form(path: bytes, expected: bytes) -> None:
    assert internal_form(path) == expected
