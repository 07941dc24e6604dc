"""The strict mailbox parser: a table of what is an address, one of what is not, and what holds for everything."""

from __future__ import annotations

import time
from email.utils import parseaddr

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatepost.address import (
    AddressError,
    BadSyntax,
    Mailbox,
    NoAuthor,
    SeveralDomains,
    SeveralFields,
    authors,
    parse_mailboxes,
)
from gatepost.address.grammar import MAX_COMMENT_NESTING
from gatepost.address.parse import MAX_LENGTH, MAX_MAILBOXES

# value, local part, domain, display
GOOD = [
    ("msk@sendmail.com", "msk", "sendmail.com", ""),
    (" msk@sendmail.com", "msk", "sendmail.com", ""),
    ("\tmsk@sendmail.com  ", "msk", "sendmail.com", ""),
    ("\n msk@sendmail.com", "msk", "sendmail.com", ""),
    ("\r\n msk@sendmail.com", "msk", "sendmail.com", ""),
    ("<msk@sendmail.com>", "msk", "sendmail.com", ""),
    ("< msk@sendmail.com >", "msk", "sendmail.com", ""),
    ("msk@sendmail.com (Murray)", "msk", "sendmail.com", "Murray"),
    ("msk@sendmail.com(Murray)", "msk", "sendmail.com", "Murray"),
    ("msk@sendmail.com (one) (two)", "msk", "sendmail.com", "two"),
    ("msk@sendmail.com (a \\) b)", "msk", "sendmail.com", "a ) b"),
    ("(x) msk@sendmail.com", "msk", "sendmail.com", ""),
    ("msk (x) @ (y) sendmail.com", "msk", "sendmail.com", ""),
    ('"Kucherawy, Murray" <msk@sendmail.com>', "msk", "sendmail.com", "Kucherawy, Murray"),
    ('"Kucherawy, Murray"<msk@sendmail.com>', "msk", "sendmail.com", "Kucherawy, Murray"),
    ('"Kucherawy,\n Murray" <msk@sendmail.com>', "msk", "sendmail.com", "Kucherawy, Murray"),
    ("Murray Kucherawy <msk@sendmail.com>", "msk", "sendmail.com", "Murray Kucherawy"),
    ("Murray  Kucherawy <msk@sendmail.com>", "msk", "sendmail.com", "Murray Kucherawy"),
    ("Murray\n\tKucherawy\n <msk@sendmail.com>", "msk", "sendmail.com", "Murray Kucherawy"),
    ("Murray<msk@sendmail.com>", "msk", "sendmail.com", "Murray"),
    ("Murray S. Kucherawy <msk@sendmail.com>", "msk", "sendmail.com", "Murray S. Kucherawy"),
    ("Murray (S.) Kucherawy <msk@sendmail.com>", "msk", "sendmail.com", "Murray Kucherawy"),
    ("=?utf-8?q?M=C3=BCrray?= <msk@sendmail.com>", "msk", "sendmail.com", "=?utf-8?q?M=C3=BCrray?="),
    ("=?utf-8?b?YUBiYW5rLmNvbQ==?= <x@evil.example>", "x", "evil.example", "=?utf-8?b?YUBiYW5rLmNvbQ==?="),
    ('"ceo@bank.example" <x@evil.example>', "x", "evil.example", "ceo@bank.example"),
    ('"<ceo@bank.example>" <x@evil.example>', "x", "evil.example", "<ceo@bank.example>"),
    ('"a\\"b" <a@b.nl>', "a", "b.nl", 'a"b'),
    ('"" <a@b.nl>', "a", "b.nl", ""),
    ('"a" "b" <a@b.nl>', "a", "b.nl", '"a" "b"'),
    ('a "b c" d <a@b.nl>', "a", "b.nl", 'a "b c" d'),
    ("a.b+c@example.nl", "a.b+c", "example.nl", ""),
    ("!#$%&'*+-/=?^_`{|}~@example.nl", "!#$%&'*+-/=?^_`{|}~", "example.nl", ""),
    ('"a@b"@c.nl', "a@b", "c.nl", ""),
    ('<"a@b"@c.nl>', "a@b", "c.nl", ""),
    ('"a b"@c.nl', "a b", "c.nl", ""),
    ('"a\\"\\\\b"@c.nl', 'a"\\b', "c.nl", ""),
    ('""@c.nl', "", "c.nl", ""),
    ('"a..b"@c.nl', "a..b", "c.nl", ""),
    ("a@localhost", "a", "localhost", ""),
    ("A@EXAMPLE.NL", "A", "example.nl", ""),
    ("a@_x.example.nl", "a", "_x.example.nl", ""),
    ("a@xn--bcher-kva.example", "a", "xn--bcher-kva.example", ""),
    ("a@XN--BCHER-KVA.example", "a", "xn--bcher-kva.example", ""),
    ("a@bücher.example", "a", "xn--bcher-kva.example", ""),
    ("a@BÜCHER.example", "a", "xn--bcher-kva.example", ""),
    ("müller@bücher.example", "müller", "xn--bcher-kva.example", ""),
    ("Müller <müller@bücher.example>", "müller", "xn--bcher-kva.example", "Müller"),
    ("Müller <a@example.nl>", "a", "example.nl", "Müller"),
    ("用户@例子.example", "用户", "xn--fsqu00a.example", ""),
    ("a@b。example", "a", "b.example", ""),
    ("a@1.2.3.4", "a", "1.2.3.4", ""),
    ("Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>", "pete", "silly.test", "Pete"),
    ("a@b.nl ((nested) (twice))", "a", "b.nl", "(nested) (twice)"),
    ("(<x@evil.example>) a@b.nl", "a", "b.nl", ""),
    ('(") a@b.nl', "a", "b.nl", ""),
]

# value, a word of the reason
BAD = [
    (b"", "ends"),
    (b" ", "ends"),
    (b"()", "ends"),
    (b"@", "local part"),
    (b"@sendmail.com", "local part"),
    (b"<@sendmail.com>", "local part"),
    (b"foo", "name without an address"),
    (b"foo bar", "name without an address"),
    (b'"foo@bar.nl"', "name without an address"),
    (b"=?utf-8?q?a=40bank.com?=", "name without an address"),
    (b"foo@", "no domain"),
    (b"foo@>", "no domain"),
    (b"foo@,a@b.nl", "no domain"),
    (b"<>", "stray '>'"),
    (b"foo <>", "stray '>'"),
    (b"foo <", "ends"),
    (b"foo <bar>", "no '@'"),
    (b"<a@b.nl", "no '>'"),
    (b"foo <a@b.nl", "no '>'"),
    (b"<a@b.nl x>", "no '>'"),
    (b"a@b.nl>", "text after"),
    (b"<a@b.nl>>", "text after"),
    (b"<<a@b.nl>>", "stray '<'"),
    (b"<a@b.nl> x", "text after"),
    (b"<a@b.nl> <c@d.nl>", "text after"),
    (b"a@b.nl <c@d.nl>", "text after"),
    (b"a@b.nl c@d.nl", "text after"),
    (b"a@b.nl;", "text after"),
    (b"a@b@c.nl", "text after"),
    (b"<a@b@c.nl>", "no '>'"),
    (b"Foo @ Bar <a@b.nl>", "text after"),
    (b"@ Bar <a@b.nl>", "local part"),
    (b"Foo, Inc. <a@b.nl>", "name without an address"),
    (b"[SPAM] <a@b.nl>", "stray '['"),
    (b". <a@b.nl>", "begins with a dot"),
    (b"a b@c.nl", "white space"),
    (b"a . b@c.nl", "white space"),
    (b"a. b@c.nl", "white space"),
    (b'"a" b@c.nl', "not quoted"),
    (b'"a".b@c.nl', "white space"),
    (b"a@b . nl", "text after"),
    (b"a@b. nl", "text after"),
    (b"a@b .nl", "text after"),
    (b".a@b.nl", "dots"),
    (b"a.@b.nl", "dots"),
    (b"a..b@c.nl", "dots"),
    (b"a@.b.nl", "no domain"),
    (b"a@b.nl.", "text after"),
    (b"<a@b.nl.>", "ends in a dot"),
    (b"a@b..nl", "text after"),
    (b"a@b!c.nl", "bad domain"),
    (b"a@b=c.nl", "bad domain"),
    (b'a@"b.nl"', "no domain"),
    (b"a@" + b"x" * 64 + b".nl", "bad domain"),
    (b"a@" + b"x." * 130 + b"nl", "bad domain"),
    ("a@b\u200e\u0000.nl".encode(), "control"),
    ("a@\u2028.nl".encode(), "control"),
    ("a@-ü-\u0300.nl".encode(), "bad domain"),
    ("a＠bank.example@evil.example".encode(), "another one"),
    ("a\u202eb@example.nl".encode(), "another one"),
    ("a\u00a0b@example.nl".encode(), "another one"),
    ('"a＂＠b"@example.nl'.encode(), "another one"),
    (b"a@[192.0.2.1]", "address literal"),
    (b"<a@[IPv6:2001:db8::1]>", "address literal"),
    (b"<@relay.example:a@b.nl>", "source route"),
    (b"<@r1.example,@r2.example:a@b.nl>", "source route"),
    (b"@relay.example:a@b.nl", "local part"),
    (b"Friends: a@b.nl, c@d.nl;", "group"),
    (b"Undisclosed recipients:;", "group"),
    (b":a@b.nl;", "group"),
    (b"a@b.nl,", "ends"),
    (b",a@b.nl", "no address"),
    (b"a@b.nl,,c@d.nl", "no address"),
    (b"a@b.nl, , c@d.nl", "no address"),
    (b"a@b.nl, foo", "name without an address"),
    (b"a@b.nl\0", "control"),
    (b"a@b.nl\0@evil.example", "control"),
    (b"\0", "control"),
    (b"a\x01@b.nl", "control"),
    (b'"a\\\0"@b.nl', "control"),
    (b'"\x1b" <a@b.nl>', "control"),
    (b"a@b.nl\rc@d.nl", "control"),
    (b"a@b.nl\nc@d.nl", "control"),
    (b"a@b.nl\n", "control"),
    (b"a\x7f@b.nl", "control"),
    (b"J\xfcrgen <a@b.nl>", "UTF-8"),
    (b"a@b\xfc.nl", "UTF-8"),
    (b"\xc0\x80a@b.nl", "UTF-8"),
    (b"\xed\xa0\x80 <a@b.nl>", "UTF-8"),
    ("\x85 <a@b.nl>".encode(), "control"),
    (b"=?utf-8?q?a=40bank.com?=@evil.example", "encoded word"),
    (b"<=?utf-8?q?a=40bank.com?=@evil.example>", "encoded word"),
    (b"x=?utf-8?q?a?=y@evil.example", "encoded word"),
    (b'"=?utf-8?q?a=40bank.com?="@evil.example', "encoded word"),
    (b'"foo <a@b.nl>', "quoted string without end"),
    (b'foo" <a@b.nl>', "quoted string without end"),
    (b'"foo\\" <a@b.nl>', "quoted string without end"),
    (b"(foo <a@b.nl>", "comment without end"),
    (b"(foo\\) <a@b.nl>", "comment without end"),
    (b"foo) <a@b.nl>", "stray ')'"),
    (b"\\a@b.nl", "backslash"),
    (b"a@b.nl " + b"(" * (MAX_COMMENT_NESTING + 1) + b")" * (MAX_COMMENT_NESTING + 1), "comment"),
    (b"a@b.nl" + b" " * MAX_LENGTH, "longer"),
    (b",".join([b"a@b.nl"] * (MAX_MAILBOXES + 1)), "more than"),
]


@pytest.mark.parametrize(("value", "local_part", "domain", "display"), GOOD)
def test_is_a_mailbox(value: str, local_part: str, domain: str, display: str) -> None:
    assert parse_mailboxes(value.encode()) == [Mailbox(local_part, domain, display)]


@pytest.mark.parametrize(("value", "reason"), BAD)
def test_is_no_mailbox(value: bytes, reason: str) -> None:
    with pytest.raises(BadSyntax) as caught:
        parse_mailboxes(value)
    assert reason in str(caught.value)
    assert str(caught.value).isascii()
    assert str(caught.value).isprintable()


def test_lists() -> None:
    value = b'Foo <a@b.nl>,\n "Bar, Baz" <c@d.nl> , e@f.nl (g)'
    assert parse_mailboxes(value) == [
        Mailbox("a", "b.nl", "Foo"),
        Mailbox("c", "d.nl", "Bar, Baz"),
        Mailbox("e", "f.nl", "g"),
    ]
    assert len(parse_mailboxes(b",".join([b"a@b.nl"] * MAX_MAILBOXES))) == MAX_MAILBOXES


def test_comment_nesting_is_read_up_to_the_limit() -> None:
    nested = b"(" * MAX_COMMENT_NESTING + b")" * MAX_COMMENT_NESTING
    assert parse_mailboxes(b"a@b.nl " + nested)[0].domain == "b.nl"


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ([], NoAuthor),
        ([b" a@b.nl", b" a@b.nl"], SeveralFields),
        ([b"", b""], SeveralFields),
        ([b" a@b.nl, c@d.nl"], SeveralDomains),
        ([b" a@b.nl, c@sub.b.nl"], SeveralDomains),
        ([b""], BadSyntax),
        ([b" foo"], BadSyntax),
    ],
)
def test_no_author(values: list[bytes], error: type[AddressError]) -> None:
    with pytest.raises(AddressError) as caught:
        authors(values)
    assert type(caught.value) is error


def test_authors() -> None:
    assert authors([b" Foo <a@B.nl>"]) == [Mailbox("a", "b.nl", "Foo")]
    assert authors([b" a@b.nl, Foo <c@B.NL>"]) == [Mailbox("a", "b.nl"), Mailbox("c", "b.nl", "Foo")]


@pytest.mark.parametrize(
    ("value", "local_part", "display"),
    [
        (b"a@b.nl <a@b.nl>", "a", "a@b.nl"),
        (b"x@B.nl <a@b.nl>", "a", "x@B.nl"),
        (b"Foo, Inc. <a@b.nl>", "a", "Foo, Inc."),
        (b"[SPAM] Foo <a@b.nl> (c)", "a", "[SPAM] Foo"),
        (b'"Foo" (x), Bar\n <"a b"@b.nl>', "a b", '"Foo" (x), Bar'),
        (b". <a@b.nl>", "a", "."),
        (b"J\xfcrgen <a@b.nl>", "a", "J\ufffdrgen"),
    ],
)
def test_a_name_without_quotes_leaves_the_domain_in_no_doubt(
    value: bytes, local_part: str, display: str
) -> None:
    assert authors([value]) == [Mailbox(local_part, "b.nl", display)]


@pytest.mark.parametrize(
    "value",
    [
        b"a@b.nl <c@d.nl>",
        b"a@d.nl, Foo <c@b.nl",
        b"c@d.nl, [x] <a@b.nl>",
        b'"c@d.nl" [x] <a@b.nl>',
        b"Foo @ Bar <a@b.nl>",
        b"a@b.nl@ <a@b.nl>",
        b"a@b.nl@d.nl <a@b.nl>",
        b"a@b.nl. <a@b.nl>",
        b"<a@b.nl> <a@b.nl>",
        b"[x] <a@b.nl> y",
        b"[x] <a@b.nl>, c@d.nl",
        b"x: [y] <a@b.nl>;",
        b"[x] <@r.nl:a@b.nl>",
        b'" [x] <a@b.nl>',
        b"( [x] <a@b.nl>",
        b"\\ [x] <a@b.nl>",
        b"[x] <a@b\xfc.nl>",
        b"[x] <\xfc@b.nl>",
        b"\x1b [x] <a@b.nl>",
        b"[x] <=?utf-8?q?c=40d.nl?=@b.nl>",
    ],
)
def test_a_name_without_quotes_that_could_be_another_address(value: bytes) -> None:
    with pytest.raises(BadSyntax):
        authors([value])


def test_several_domains_are_told() -> None:
    with pytest.raises(SeveralDomains) as caught:
        authors([b"a@b.nl, c@b.nl, a@d.nl"])
    assert [mailbox.domain for mailbox in caught.value.mailboxes] == ["b.nl", "b.nl", "d.nl"]


@pytest.mark.parametrize(
    ("mailbox", "addr_spec"),
    [
        (Mailbox("a.b", "c.nl"), "a.b@c.nl"),
        (Mailbox("a@b", "c.nl"), '"a@b"@c.nl'),
        (Mailbox('a"\\', "c.nl"), '"a\\"\\\\"@c.nl'),
        (Mailbox("", "c.nl"), '""@c.nl'),
        (Mailbox("a..b", "c.nl"), '"a..b"@c.nl'),
        (Mailbox("müller", "c.nl"), "müller@c.nl"),
    ],
)
def test_addr_spec(mailbox: Mailbox, addr_spec: str) -> None:
    assert mailbox.addr_spec == addr_spec
    assert parse_mailboxes(addr_spec.encode()) == [mailbox]


_PIECES = st.sampled_from(
    [
        "a",
        "b.nl",
        "@",
        "<",
        ">",
        '"',
        "\\",
        "(",
        ")",
        ",",
        ";",
        ":",
        ".",
        " ",
        "\n ",
        "=?utf-8?q?",
        "?=",
        "[",
        "é",
    ]
)


@given(
    st.one_of(
        st.binary(max_size=60), st.lists(_PIECES, max_size=14).map(lambda pieces: "".join(pieces).encode())
    )
)
@settings(max_examples=300)
def test_anything_is_mailboxes_or_bad_syntax(value: bytes) -> None:
    try:
        mailboxes = parse_mailboxes(value)
    except BadSyntax:
        return
    assert mailboxes
    for mailbox in mailboxes:
        assert mailbox.domain == mailbox.domain.lower()
        assert mailbox.domain.isascii()
        assert mailbox.domain.strip(".") == mailbox.domain != ""
        again = parse_mailboxes(mailbox.addr_spec.encode())
        assert [(box.local_part, box.domain) for box in again] == [(mailbox.local_part, mailbox.domain)]


_ATOM = st.text("abcXYZ019!#$%&'*+-/=^_`{|}~", min_size=1, max_size=8)
_DOMAIN = st.from_regex(r"[a-z0-9]{1,8}(\.[a-z0-9]{1,8}){1,3}", fullmatch=True)


@given(
    st.lists(_ATOM, min_size=1, max_size=3).map(".".join), _DOMAIN, st.lists(_ATOM, max_size=3).map(" ".join)
)
@settings(max_examples=150)
def test_agrees_with_the_standard_library_on_plain_mail(local_part: str, domain: str, name: str) -> None:
    value = f"{name} <{local_part}@{domain}>"
    assert parse_mailboxes(value.encode()) == [Mailbox(local_part, domain, name)]
    # A comment in front keeps it from the short way that plain fields take.
    assert parse_mailboxes(b"() " + value.encode()) == [Mailbox(local_part, domain, name)]
    assert parseaddr(value)[1] == f"{local_part}@{domain}"


@pytest.mark.parametrize(
    "piece",
    [
        b'"',
        b"(",
        b")",
        b"(a)",
        b"\\",
        b" ",
        b"a ",
        b".",
        b'"a"',
        b"a@b,",
        b'"\\',
        b"(\\",
        b"(()",
        b"\xc3\xbc",
        b"a.",
        b"=?",
    ],
)
def test_takes_linear_time(piece: bytes) -> None:
    behind = b"<a@b.nl> <"
    value = piece * (MAX_LENGTH // len(piece))
    start = time.process_time()
    with pytest.raises(BadSyntax):
        parse_mailboxes(value)
    with pytest.raises(AddressError):
        authors([value[: -len(behind)] + behind])
    # A quadratic reader takes seconds; this one takes milliseconds.
    assert time.process_time() - start < 0.5
