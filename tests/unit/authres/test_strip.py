"""Whose a field is: everything that any reader could take for ours, and nothing else."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatepost.address.grammar import MAX_COMMENT_NESTING
from gatepost.authres.result import Property, Result
from gatepost.authres.strip import MAX_HEAD, Ids, claims
from gatepost.authres.write import format_value

IDS = Ids("mail.example.nl", ["mx2", "bücher.example", "xn--fsqu00a.example", "Post.Example.NL."])

OURS = [
    b"mail.example.nl; dkim=pass",
    b" mail.example.nl; dkim=pass",
    b"mail.example.nl;dkim=pass",
    b"mail.example.nl ;dkim=pass",
    b"mail.example.nl dkim=pass",
    b"mail.example.nl",
    b"mail.example.nl\n",
    b"mail.example.nl\r\n",
    b"mail.example.nl 1; dkim=pass",
    b"mail.example.nl 99; dkim=pass",
    b"mail.example.nl (x) 1 (y); dkim=pass",
    b"MAIL.EXAMPLE.NL; dkim=pass",
    b"Mail.Example.nl; dkim=pass",
    b"mail.example.nl.; dkim=pass",
    b"mail.example.nl..; dkim=pass",
    b"\tmail.example.nl; dkim=pass",
    b"\n mail.example.nl; dkim=pass",
    b"\r\n\tmail.example.nl; dkim=pass",
    b"\n \n \n mail.example.nl; dkim=pass",
    b"mail.example.nl\n ; dkim=pass",
    b"(x) mail.example.nl; dkim=pass",
    b"(x)mail.example.nl; dkim=pass",
    b"(foreign.example;) mail.example.nl; dkim=pass",
    b"(a\\)b) mail.example.nl; dkim=pass",
    b"(a(b)c) (d) mail.example.nl; dkim=pass",
    b"mail.example.nl(x); dkim=pass",
    b"mail.example.nl (x); dkim=pass",
    b"mail.example.nl(x); dkim=pass (unterminated",
    b'"mail.example.nl"; dkim=pass',
    b'"mail.example.nl" 1; dkim=pass',
    b'"MAIL.example.nl."; dkim=pass',
    b'"mail.exa\\mple.nl"; dkim=pass',
    b'" mail.example.nl "; dkim=pass',
    b'"mail.\r\n example.nl"; dkim=pass',
    b"mail.exa(x)mple.nl; dkim=pass",
    b"mail . example . nl; dkim=pass",
    b"mail. example.nl; dkim=pass",
    b"mail.(x) example.nl; dkim=pass",
    b"mail.exa\n mple.nl; dkim=pass",
    b'mail. "example.nl"; dkim=pass',
    "ｍａｉｌ．example。nl; dkim=pass".encode(),
    "mail.example\u3002nl; dkim=pass".encode(),
    "mail.exa\u00admple.nl; dkim=pass".encode(),
    "mail.example.nl\u200b; dkim=pass".encode(),
    b"mx2; dkim=pass",
    b"MX2 ; dkim=pass",
    b"post.example.nl; dkim=pass",
    "bücher.example; dkim=pass".encode(),
    "BÜCHER.example; dkim=pass".encode(),
    "bu\u0308cher.example; dkim=pass".encode(),
    '"bücher.example"; dkim=pass'.encode(),
    b"xn--bcher-kva.example; dkim=pass",
    b"XN--BCHER-KVA.Example; dkim=pass",
    "例子.example; dkim=pass".encode(),
    b"mail.example.nl; dkim=pass\0",
    b"mail.example.nl; " + b"x" * 100_000,
    b" " * 60_000 + b"mail.example.nl; dkim=pass",
    b"(x)" * 20_000 + b"mail.example.nl; dkim=pass",
]

UNREADABLE = [
    b"",
    b" ",
    b"\n ",
    b";",
    b"; dkim=pass",
    b"(x)",
    b"(x); dkim=pass",
    b"dkim=pass header.d=bank.example",
    b"spf=pass (sender IP is 192.0.2.1) smtp.mailfrom=example.com",
    b"=mail.example.nl; dkim=pass",
    b"mail.example.nl, x; dkim=pass",
    b"mail.example.nl: dkim=pass",
    b"mail.example.nl/1; dkim=pass",
    b"mail.example.nl@x; dkim=pass",
    b"mail.example.nl=x; dkim=pass",
    b"<mail.example.nl>; dkim=pass",
    b"[mail.example.nl]; dkim=pass",
    b"=?utf-8?q?mail.example.nl?=; dkim=pass",
    b"foreign.example\0; dkim=pass",
    b"\0mail.example.nl; dkim=pass",
    b"mail.example\0.nl; dkim=pass",
    b"mail.example.nl\0; dkim=pass",
    b"mail\\.example.nl; dkim=pass",
    b"\\mail.example.nl; dkim=pass",
    b"mail.example.nl\r; dkim=pass",
    b"\rmail.example.nl; dkim=pass",
    b"\nmail.example.nl; dkim=pass",
    b"mail.example.nl\n; dkim=pass",
    b"\x0bmail.example.nl; dkim=pass",
    b"\x0cmail.example.nl; dkim=pass",
    b"\x7f; dkim=pass",
    b"\xa0mail.example.nl; dkim=pass",
    b"\xffmail.example.nl; dkim=pass",
    b"mail.example.nl\xff; dkim=pass",
    b"\xed\xa0\x80; dkim=pass",
    b"\xc0\xafmail.example.nl; dkim=pass",
    "mail.example.nl\u00a0; dkim=pass".encode(),
    "\u202email.example.nl; dkim=pass".encode(),
    b"(mail.example.nl; dkim=pass",
    b"(a\\) mail.example.nl; dkim=pass",
    b"(a(b) mail.example.nl; dkim=pass",
    b") mail.example.nl; dkim=pass",
    b'"mail.example.nl; dkim=pass',
    b'"mail.example.nl\\"; dkim=pass',
    b'"mail.example.nl; dkim=pass"',
    b'"mail.example.nl dkim=pass"; x',
    b'"foreign"mail.example.nl; dkim=pass',
    b'mail."example".nl; dkim=pass',
    b'""; dkim=pass',
    b'"" mail.example.nl; dkim=pass',
    b'"\0"; dkim=pass',
    b"(" * (MAX_COMMENT_NESTING + 1) + b")" * (MAX_COMMENT_NESTING + 1) + b"x; dkim=pass",
    b"(x)" * (MAX_HEAD // 3 + 1) + b"x; dkim=pass",
    "ü".encode() * 5000 + b"; dkim=pass",
]

FOREIGN = [
    b"foreign.example; dkim=pass",
    b" foreign.example 1; dkim=pass",
    b"foreign.example",
    b"\r\n foreign.example;\r\n dkim=pass",
    b"(mail.example.nl) foreign.example; dkim=pass",
    b"foreign.example (mail.example.nl); dkim=pass",
    b"foreign.example; mail.example.nl; dkim=pass",
    b"foreign.example mail.example.nl; dkim=pass",
    b"foreign.example dkim=pass",
    b"mail.example.nl.evil.example; dkim=pass",
    b"xmail.example.nl; dkim=pass",
    b"mail.example.nlx; dkim=pass",
    b"mail.example; dkim=pass",
    b"mail; dkim=pass",
    b"mail.example dkim=pass",
    b"ail.example.nl; dkim=pass",
    b"mail-example-nl; dkim=pass",
    b".mail.example.nl; dkim=pass",
    b'"foreign.example"; dkim=pass',
    b"b\x75cher.example; dkim=pass",
    "büchers.example; dkim=pass".encode(),
    "mаil.example.nl; dkim=pass".encode(),  # a Cyrillic letter: another domain
    b"mx22; dkim=pass",
    b"mx; dkim=pass",
    b"foreign.example; (unterminated",
    b"foreign.example (unterminated",
    b'foreign.example; "unterminated',
    b'foreign.example "unterminated',
    b"foreign.example; \0\xff\r garbage",
    b"foreign.example " + b"(" * 100_000,
    b"foreign.example; " + b"x" * 1_000_000,
    b"f" * 100_000 + b"; dkim=pass",
    b"foreign.example " + b"x " * 100_000,
]


@pytest.mark.parametrize("value", OURS, ids=lambda value: repr(value[:60]))
def test_ours(value: bytes) -> None:
    assert claims(value, IDS)


@pytest.mark.parametrize("value", UNREADABLE, ids=lambda value: repr(value[:60]))
def test_unreadable(value: bytes) -> None:
    assert claims(value, IDS)
    # Not because of the name that it holds:
    assert claims(value.replace(b"mail.example.nl", b"other.example"), IDS)


@pytest.mark.parametrize("value", FOREIGN, ids=lambda value: repr(value[:60]))
def test_foreign(value: bytes) -> None:
    assert not claims(value, IDS)


@pytest.mark.parametrize(
    ("name", "held"),
    [
        ("mail.example.nl", True),
        ("MAIL.EXAMPLE.NL.", True),
        ("BÜCHER.example", True),
        ("xn--bcher-kva.example", True),
        ("例子.example", True),
        ("post.example.nl", True),
        ("", False),
        (".", False),
        ("example.nl", False),
        ("\0", False),
        ("ü" * 2000, False),
    ],
)
def test_ids(name: str, held: bool) -> None:
    assert (name in IDS) is held


def test_an_empty_alias_is_no_name() -> None:
    assert not claims(b"foreign.example; dkim=pass", Ids("mail.example.nl", ["", "."]))


@given(st.binary(max_size=80))
@settings(max_examples=300)
def test_raises_nothing(value: bytes) -> None:
    claims(value, IDS)


_SPACE = st.lists(
    st.sampled_from([b" ", b"\t", b"\n ", b"\r\n\t", b"(x)", b"(a(b)c)", b"(\\))"]), max_size=4
).map(b"".join)


@given(
    _SPACE, st.lists(st.booleans(), min_size=15, max_size=15), _SPACE, st.booleans(), st.binary(max_size=30)
)
@settings(max_examples=200)
def test_our_name_is_found_however_it_is_dressed(
    before: bytes, upper: list[bool], after: bytes, quoted: bool, rest: bytes
) -> None:
    name = "".join(c.upper() if up else c for c, up in zip("mail.example.nl", upper, strict=True)).encode()
    if quoted:
        name = b'"' + name + b'"'
    assert claims(before + name + after + b";" + rest, IDS)


@given(st.text(max_size=20), st.text(max_size=20))
@settings(max_examples=100)
def test_what_we_write_is_ours(value: str, comment: str) -> None:
    written = format_value(
        "mail.example.nl", [Result("spf", "pass", (Property("smtp", "helo", value),), comment=comment)]
    )
    assert claims(written.encode(), IDS)
    assert not claims(written.replace("mail.example.nl", "mail.example.org", 1).encode(), IDS)


@pytest.mark.parametrize(
    "piece",
    [
        *(b"(", b"()", b"(((((x)))))", b"((((()", b"(x)a", b"a (x)", b'(")'),
        *(
            b"\\",
            b'"',
            b'"\\',
            b'"a"',
            b'"" ',
            b" ",
            b"\n",
            b"\n ",
            b"\r",
            b"a",
            b"a.",
            b"mail.",
            b"\xff",
            b"\xc3\xbc ",
        ),
    ],
)
def test_takes_linear_time(piece: bytes) -> None:
    value = piece * (1_000_000 // len(piece))
    start = time.process_time()
    claims(value, IDS)
    claims(b"m " + value, IDS)
    assert time.process_time() - start < 0.3
