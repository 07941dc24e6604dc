"""Reading what the writers out there write, and refusing what could be read in two ways."""

from __future__ import annotations

import re
import time
from unittest.mock import patch

import authres
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatepost.address.grammar import MAX_COMMENT_NESTING
from gatepost.authres import read as reader_module
from gatepost.authres.read import MAX_LENGTH, ARParseError, read
from gatepost.authres.result import Property, Result
from gatepost.authres.unsealed import read_unsealed


def result(method: str, word: str, *properties: str, reason: str = "", comment: str = "") -> Result:
    """A result, with properties as ``ptype.name=value``."""
    made = []
    for text in properties:
        full_name, value = text.split("=", 1)
        ptype, _, name = (
            full_name.rpartition(".") if full_name.startswith("dns") else full_name.partition(".")
        )
        made.append(Property(ptype, name, value) if name else Property("", ptype, value))
    return Result(method, word, tuple(made), reason, comment)


# writer, value, authserv-id, results
FIELDS: list[tuple[str, bytes, str, list[Result]]] = [
    (
        "OpenDKIM",
        b" mail.example.nl;\n\tdkim=pass (2048-bit key; unprotected) header.d=example.com header.i=@example.com"
        b" header.a=rsa-sha256 header.s=sel header.b=ab/cd+e=;\n\tdkim-atps=neutral",
        "mail.example.nl",
        [
            result(
                "dkim",
                "pass",
                "header.d=example.com",
                "header.i=@example.com",
                "header.a=rsa-sha256",
                "header.s=sel",
                "header.b=ab/cd+e=",
                comment="2048-bit key; unprotected",
            ),
            result("dkim-atps", "neutral"),
        ],
    ),
    (
        "OpenDKIM with a reason",
        b'mail.example.nl; dkim=fail reason="signature verification failed" (1024-bit key) header.d=example.com',
        "mail.example.nl",
        [result("dkim", "fail", "header.d=example.com", reason="signature verification failed")],
    ),
    ("OpenDKIM, unsigned", b"mail.example.nl; dkim=none", "mail.example.nl", [result("dkim", "none")]),
    (
        "OpenDMARC",
        b"mail.example.nl; dmarc=pass (p=none dis=none) header.from=example.com",
        "mail.example.nl",
        [result("dmarc", "pass", "header.from=example.com", comment="p=none dis=none")],
    ),
    (
        "OpenDMARC's SPF of a null sender",
        b"mail.example.nl; spf=none smtp.mailfrom=<>",
        "mail.example.nl",
        [result("spf", "none", "smtp.mailfrom=")],
    ),
    (
        "policyd-spf",
        b"mail.example.nl; spf=pass (sender SPF authorized) smtp.mailfrom=example.com (client-ip=192.0.2.1;"
        b" helo=mx.example.com; envelope-from=a@example.com; receiver=<UNKNOWN>)",
        "mail.example.nl",
        [result("spf", "pass", "smtp.mailfrom=example.com", comment="sender SPF authorized")],
    ),
    (
        "rspamd",
        b"mail.example.nl;\n\tdkim=pass header.d=example.com header.s=sel header.b=AbCdEfGh;\n"
        b"\tspf=pass (mail.example.nl: domain of a@example.com designates 2001:db8::1 as permitted sender)"
        b' smtp.mailfrom=a@example.com;\n\tdmarc=pass (policy=none) header.from=example.com;\n\tarc=pass ("x:s=y:i=1")',
        "mail.example.nl",
        [
            result("dkim", "pass", "header.d=example.com", "header.s=sel", "header.b=AbCdEfGh"),
            result(
                "spf",
                "pass",
                "smtp.mailfrom=a@example.com",
                comment="mail.example.nl: domain of a@example.com designates 2001:db8::1 as permitted sender",
            ),
            result("dmarc", "pass", "header.from=example.com", comment="policy=none"),
            result("arc", "pass", comment='"x:s=y:i=1"'),
        ],
    ),
    ("rspamd, nothing done", b"mail.example.nl;\n\tnone", "mail.example.nl", []),
    (
        "Gmail",
        b"mx.google.com;\r\n       dkim=pass header.i=@example.com header.s=s1 header.b=Ab3/cd+e;\r\n"
        b"       spf=pass (google.com: domain of b+a=x@example.com designates 192.0.2.1 as permitted sender)"
        b' smtp.mailfrom="b+a=x@example.com";\r\n'
        b"       dmarc=pass (p=REJECT sp=REJECT dis=NONE) header.from=example.com",
        "mx.google.com",
        [
            result("dkim", "pass", "header.i=@example.com", "header.s=s1", "header.b=Ab3/cd+e"),
            result(
                "spf",
                "pass",
                "smtp.mailfrom=b+a=x@example.com",
                comment="google.com: domain of b+a=x@example.com designates 192.0.2.1 as permitted sender",
            ),
            result("dmarc", "pass", "header.from=example.com", comment="p=REJECT sp=REJECT dis=NONE"),
        ],
    ),
    (
        "Microsoft, without an authserv-id",
        b"spf=pass (sender IP is 192.0.2.1) smtp.mailfrom=example.com; dkim=pass (signature was verified)"
        b" header.d=example.com;dmarc=pass action=none header.from=example.com;compauth=pass reason=100",
        "",
        [
            result("spf", "pass", "smtp.mailfrom=example.com", comment="sender IP is 192.0.2.1"),
            result("dkim", "pass", "header.d=example.com", comment="signature was verified"),
            result("dmarc", "pass", "action=none", "header.from=example.com"),
            result("compauth", "pass", reason="100"),
        ],
    ),
    (
        "Microsoft, outbound",
        b"dkim=none (message not signed)\r\n header.d=none;dmarc=none action=none header.from=example.com;",
        "",
        [
            result("dkim", "none", "header.d=none", comment="message not signed"),
            result("dmarc", "none", "action=none", "header.from=example.com"),
        ],
    ),
    (
        "Microsoft, in ARC",
        b"mx.microsoft.com 1; spf=pass smtp.mailfrom=example.com; dmarc=pass action=none header.from=example.com",
        "mx.microsoft.com",
        [
            result("spf", "pass", "smtp.mailfrom=example.com"),
            result("dmarc", "pass", "action=none", "header.from=example.com"),
        ],
    ),
    (
        "Yahoo",
        b"mta.mail.yahoo.com;\r\n dkim=pass header.i=@example.com header.s=s1;\r\n"
        b" dmarc=pass(p=REJECT) header.from=example.com;",
        "mta.mail.yahoo.com",
        [
            result("dkim", "pass", "header.i=@example.com", "header.s=s1"),
            result("dmarc", "pass", "header.from=example.com", comment="p=REJECT"),
        ],
    ),
    (
        "Fastmail",
        b"mx1.example.com; iprev=pass policy.iprev=2001:db8::1 (mx.example.com); x-ptr=pass smtp.helo=mx.example.com"
        b" policy.ptr=mx.example.com; bimi=skipped (DMARC Policy is not at enforcement)",
        "mx1.example.com",
        [
            result("iprev", "pass", "policy.iprev=2001:db8::1"),
            result("x-ptr", "pass", "smtp.helo=mx.example.com", "policy.ptr=mx.example.com"),
            result("bimi", "skipped", comment="DMARC Policy is not at enforcement"),
        ],
    ),
    (
        "ourselves, with DNSSEC and a seal",
        b'mail.example.nl;\n\tdkim=pass header.b="ab/cdefg" header.d=example.nl dns.sec=yes\n'
        b"\t(gatepost-seal v1 t=1700000000 m=AAAAAAAAAAAAAAAAAAAAAA)",
        "mail.example.nl",
        [result("dkim", "pass", "header.b=ab/cdefg", "header.d=example.nl", "dns.sec=yes")],
    ),
    (
        "RFC 8601 appendix B.7",
        b"foo.example.net (foobar) 1 (baz);\r\n    dkim (Because I like it) / 1 (One yay) = (wait for it) fail\r\n"
        b"      policy (A dot can go here) . (like that) expired\r\n"
        b"      (this surprised me) = (as I wasn't expecting it) 1362471462",
        "foo.example.net",
        [result("dkim", "fail", "policy.expired=1362471462")],
    ),
    ("RFC 8601 no-result", b"example.org 1; none", "example.org", []),
    ("none, comments all over", b"(a) example.org (b) 1 (c); (d) none (e); (f)", "example.org", []),
    ("a method that begins with none", b"a.nl; none-such=pass", "a.nl", [result("none-such", "pass")]),
    ("upper case", b"A.nl; DKIM=Pass Header.D=Example.NL", "A.nl", [result("dkim", "pass", "header.d=Example.NL")]),
    ("a quoted authserv-id", b'"a.nl"; dkim=pass', "a.nl", [result("dkim", "pass")]),
    ("a quoted pair", b'a.nl; x=y a.b="c\\"d\\\\"', "a.nl", [result("x", "y", 'a.b=c"d\\')]),
    ("a quoted local part", b'a.nl; spf=pass smtp.mailfrom="a b"@c.nl', "a.nl", [
        result("spf", "pass", 'smtp.mailfrom="a b"@c.nl')]),
    ("a quoted value that looks like more", b'a.nl; spf=fail smtp.helo="x; dmarc=pass" smtp.mailfrom=b', "a.nl", [
        result("spf", "fail", "smtp.helo=x; dmarc=pass", "smtp.mailfrom=b")]),
    ("a comment that looks like more", b"a.nl; spf=fail (; dmarc=pass) smtp.helo=x", "a.nl", [
        result("spf", "fail", "smtp.helo=x", comment="; dmarc=pass")]),
    ("no semicolon behind the id", b"a.nl dkim=pass; spf=fail", "a.nl", [
        result("dkim", "pass"), result("spf", "fail")]),
    ("semicolons too many", b"a.nl;; dkim=pass ; ; spf=fail;;", "a.nl", [
        result("dkim", "pass"), result("spf", "fail")]),
    ("no spaces", b"a.nl;dkim=pass;spf=fail", "a.nl", [result("dkim", "pass"), result("spf", "fail")]),
    ("an empty value", b"a.nl; spf=none smtp.mailfrom=; dkim=none", "a.nl", [
        result("spf", "none", "smtp.mailfrom="), result("dkim", "none")]),
    ("angle brackets", b"a.nl; spf=none smtp.mailfrom=<a@b.nl>", "a.nl", [
        result("spf", "none", "smtp.mailfrom=a@b.nl")]),
    ("an unknown method version", b"a.nl; dkim/2=pass; spf/1=fail", "a.nl", [result("spf", "fail")]),
    ("UTF-8", 'a.nl; spf=pass smtp.mailfrom=müller@c.nl (ü)'.encode(), "a.nl", [
        result("spf", "pass", "smtp.mailfrom=müller@c.nl")]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "authserv_id", "results"), [field[1:] for field in FIELDS], ids=[field[0] for field in FIELDS]
)
def test_reads(value: bytes, authserv_id: str, results: list[Result]) -> None:
    parsed = read(value)
    assert parsed.authserv_id == authserv_id
    assert list(parsed.results) == results


REFUSED = [
    (b"", "no authserv-id"),
    (b" ", "no authserv-id"),
    (b"; dkim=pass", "no authserv-id"),
    (b"a.nl", "no results"),
    (b"a.nl;", "no results"),
    (b"a.nl 1;", "no results"),
    (b"a.nl 2; dkim=pass", "version"),
    (b"a.nl 10; none", "version"),
    (b"a@b; dkim=pass", "no authserv-id"),
    (b"a.nl; dkim", "no method"),
    (b"a.nl; dkim=", "no method"),
    (b"a.nl; =pass", "no method"),
    (b"a.nl; dkim=pass; none", "no method"),
    (b"a.nl; none; dkim=pass", "no method"),
    (b"a.nl; dkim=pass header.d", "no property"),
    (b"a.nl; dkim=pass header.d=legit.com(.evil.com)", "comment touches"),
    (b'a.nl; dkim=pass header.d="legit.com"(.evil.com)', "comment touches"),
    (b'a.nl; dkim=pass header.d=legit.com".evil.com"', "bad value"),
    (b"a.nl; dkim=pass header.d=a\\b", "bad value"),
    (b'a.nl; dkim=pass header.d="a', "bad value"),
    (b"a.nl; dkim=pass header.d=<a", "bad value"),
    (b"a.nl; spf=fail smtp.helo= header.from=b.nl", "next property"),
    (b"a.nl; spf=fail smtp.mailfrom=x dkim=pass header.d=bank.nl", "no semicolon"),
    (b"a.nl; spf=fail smtp.mailfrom=x dmarc = pass", "no semicolon"),
    (b"a.nl; spf=fail smtp.mailfrom=x y", "no property"),
    # A long s is no s, whether or not there is a reason elsewhere.
    ("a.nl; spf=fail rea\u017fon=x".encode(), "no property"),
    ("a.nl; spf=fail rea\u017fon=x; dkim=pass reason=x".encode(), "no property"),
    (b"a.nl; spf=fail (x", "no property"),
    (b"a.nl; spf=fail x) dkim=pass", "no property"),
    (b"a.nl; spf=fail (x\x00) header.d=b", "control"),
    (b"a.nl; spf=fail\r dkim=pass", "control"),
    (b"a.nl; spf=fail\ndkim=pass", "control"),
    (b"a.nl; spf=fail (\xff header.d=b)", "UTF-8"),
    (b"a.nl; spf=fail " + b"(" * (MAX_COMMENT_NESTING + 1) + b")" * (MAX_COMMENT_NESTING + 1), "no property"),
    (b"a.nl; spf=fail" + b" " * MAX_LENGTH, "longer"),
]


@pytest.mark.parametrize(("value", "reason"), REFUSED)
def test_refuses(value: bytes, reason: str) -> None:
    with pytest.raises(ARParseError, match=reason):
        read(value)


# What the second reader cannot read although it is in use: such a field is not believed without a seal.
_NOT_CONFIRMED = {
    "OpenDMARC's SPF of a null sender",
    "Microsoft, without an authserv-id",
    "Microsoft, outbound",
    "Fastmail",
    "RFC 8601 appendix B.7",
    "none, comments all over",
    "a method that begins with none",
    "a quoted authserv-id",
    "no semicolon behind the id",
    "semicolons too many",
    "angle brackets",
    "an unknown method version",
}


@pytest.mark.parametrize(
    ("name", "value"), [field[:2] for field in FIELDS], ids=[field[0] for field in FIELDS]
)
def test_two_readers(name: str, value: bytes) -> None:
    if name in _NOT_CONFIRMED:
        with pytest.raises(ARParseError):
            read_unsealed(value)
    else:
        assert read_unsealed(value) == read(value)


def test_two_readers_that_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    other = authres.all_features().parse_value("a.nl; dkim=pass header.d=c.nl")
    monkeypatch.setattr(authres.FeatureContext, "parse_value", lambda self, text: other)
    for value in (b"a.nl; dkim=pass header.d=b.nl", b"a.nl; dkim=fail", b"b.nl; dkim=pass", b"a.nl; none"):
        with pytest.raises(ARParseError, match="different"):
            read_unsealed(value)


@pytest.mark.parametrize("error", [RecursionError, IndexError, authres.SyntaxError])
def test_whatever_the_second_reader_raises(error: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: object, text: str) -> None:
        raise error("x")

    monkeypatch.setattr(authres.FeatureContext, "parse_value", broken)
    with pytest.raises(ARParseError, match="second reader"):
        read_unsealed(b"a.nl; none")


_PIECES = st.sampled_from(
    b'a.nl|; |dkim|=|pass|(|)|"|\\| |\n |header.d|reason|/1|none|@|<|>|\0|\xff|1|.'.split(b"|"),
)


@given(st.one_of(st.binary(max_size=60), st.lists(_PIECES, max_size=20).map(b"".join)))
@settings(max_examples=200, deadline=None)
def test_anything_is_read_or_refused(value: bytes) -> None:
    for reader in (read, read_unsealed):
        try:
            parsed = reader(value)
        except ARParseError:
            continue
        assert all(found.method and found.result for found in parsed.results)


_RESULTS = st.sampled_from(
    [
        *(b"a.nl", b"; ", b";", b"dkim=pass", b"spf=fail", b" ", b" ", b"\n\t", b"(c)", b"(", b"x=y"),
        *(b"header.d=x.org", b"smtp.mailfrom=a@b.c", b"header.b=Ab+/=", b"header.i=@x", b"dns.sec=yes"),
        *(b"header.from=a=b", b"smtp.helo=", b"policy.dmarc=none", b"header.D=z", b"a.b-c=d"),
        *(b'="a b"', b"=<a@b>", b"reason=x", b'REASON="y z"'),
    ]
)


@given(st.lists(_RESULTS, max_size=14).map(b"".join))
@settings(max_examples=300, deadline=None)
def test_plain_properties_are_read_as_others_are(value: bytes) -> None:
    def outcome() -> object:
        try:
            return read(b"a.nl; dkim=pass " + value)
        except ARParseError as error:
            return str(error)

    quick = outcome()
    with patch.object(reader_module, "_PLAIN_PROPERTY", re.compile(r"(?!)")):
        assert outcome() == quick


@pytest.mark.parametrize(
    "value",
    [
        b"a; b=c (" * 1000,
        b"a; b=c " + b"()" * 4000,
        b"a; none" + b"()" * 4000 + b"x",
        b"a; b=c " + b"d.e=f " * 1300,
        b"a; b=c d.e" + b"(x)" * 2600,
        b'a; b=c d.e="' + b"\\" * 8000,
        b"()" * 4000,
        b"a;" * 4000,
        b"a; " + b"b=c;" * 2000,
        b"a; b=c " + b"d." * 4000,
    ],
)
def test_takes_linear_time(value: bytes) -> None:
    start = time.process_time()
    for _ in range(3):
        try:
            read(value)
        except ARParseError:
            pass
    # A quadratic reader takes seconds; this one takes milliseconds.
    assert time.process_time() - start < 0.5
