"""Whatever the values hold, the field holds the results that were given and no others."""

from __future__ import annotations

import re

import authres
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatepost.authres.read import read
from gatepost.authres.result import Property, Result
from gatepost.authres.write import MAX_TEXT, format_value

ID = "mail.example.nl"


def spf(mailfrom: str) -> Result:
    return Result("spf", "fail", (Property("smtp", "mailfrom", mailfrom),))


def test_none() -> None:
    assert format_value(ID, []) == "mail.example.nl; none"


def test_layout() -> None:
    results = [
        Result(
            "dkim",
            "pass",
            (
                Property("header", "d", "example.com"),
                Property("header", "i", "@example.com"),
                Property("header", "s", "sel"),
                Property("header", "a", "rsa-sha256"),
                Property("header", "b", "AbCdEfGh"),
            ),
            comment="2048-bit key",
        ),
        Result("spf", "softfail", (Property("smtp", "helo", "mx.example.com"),), reason="no such host"),
    ]
    assert format_value(ID, results) == (
        "mail.example.nl;\n"
        "\tdkim=pass (2048-bit key) header.d=example.com header.i=@example.com\n"
        "\theader.s=sel header.a=rsa-sha256 header.b=AbCdEfGh;\n"
        '\tspf=softfail reason="no such host" smtp.helo=mx.example.com'
    )
    assert format_value(ID, results, fold=False) == re.sub(r"\n\t", " ", format_value(ID, results))


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("example.nl", "example.nl"),
        ("a@example.nl", "a@example.nl"),
        ("a=b/c@example.nl", "a=b/c@example.nl"),
        ("@example.nl", "@example.nl"),
        ("a_b", "a_b"),
        ("", '""'),
        ("AbC/dEf+", '"AbC/dEf+"'),
        ("AbCdEf==", '"AbCdEf=="'),
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", '"2001:db8::1"'),
        ("[192.0.2.1]", '"[192.0.2.1]"'),
        ("a b@example.nl", '"a b@example.nl"'),
        ('"a b"@example.nl', '"\\"a b\\"@example.nl"'),
        ("a\\b", '"a\\\\b"'),
        ("a@b@c", '"a@b@c"'),
        ("a@example.nl; dmarc=pass header.from=bank", '"a@example.nl; dmarc=pass header.from=bank"'),
        ("legit.com(.evil.com)", '"legit.com(.evil.com)"'),
        ("legit.com\\", '"legit.com\\\\"'),
        ('x"; dmarc=pass', '"x\\"; dmarc=pass"'),
        ("a..b@example.nl", '"a..b@example.nl"'),
        (".a@example.nl", '".a@example.nl"'),
        ("a@example..nl", '"a@example..nl"'),
        ("a@", '"a@"'),
    ],
)
def test_values(value: str, written: str) -> None:
    assert format_value(ID, [spf(value)]) == f"{ID};\n\tspf=fail smtp.mailfrom={written}"
    assert read(format_value(ID, [spf(value)]).encode()).results == (spf(value),)


@pytest.mark.parametrize(
    "value",
    [
        "a\r\nX-Evil: 1",
        "a\nb",
        "a\rb",
        "a\0b",
        "a\tb",
        "a\x7fb",
        "m\u00fcller@example.nl",
        "a\u2028b",
        "\udcff",
        "=?utf-8?q?=3Bdmarc=3Dpass?=@evil.example",
        "=?utf-8?q?x?=",
        "?utf-8?q?=3Bdmarc=3Dpass?=@evil.example",
        "x" * 1000,
        '"' * 500,
        "\\" * 500,
    ],
)
def test_values_that_are_left_out(value: str) -> None:
    assert format_value(ID, [spf(value)]) == f"{ID};\n\tspf=fail"


@pytest.mark.parametrize(
    ("comment", "written"),
    [
        ("p=reject dis=none", "(p=reject dis=none)"),
        ("foo) ; dmarc=pass (", "(foo\\) ; dmarc=pass \\()"),
        ("foo\\", "(foo\\\\)"),
        ('foo"', '(foo\\")'),
        ("a\r\nb", "(a??b)"),
        ("ü", "(?)"),
        ("=?utf-8?q?=29?=", "(?utf-8?q?=29?=)"),
        ("===?utf-8?q?=29?=", "(?utf-8?q?=29?=)"),
        ("x" * 5000, "(" + "x" * MAX_TEXT + ")"),
    ],
)
def test_comments(comment: str, written: str) -> None:
    value = format_value(ID, [Result("dmarc", "fail", comment=comment)], fold=False)
    assert value == f"{ID}; dmarc=fail {written}"
    assert len(read(value.encode()).results) == 1


@pytest.mark.parametrize(
    ("reason", "written"),
    [
        ("bad signature", '"bad signature"'),
        ('x"; dmarc=pass', '"x\\"; dmarc=pass"'),
        ("x\\", '"x\\\\"'),
        ("a\r\nX-Evil: 1", '"a??X-Evil: 1"'),
        ("x" * 5000, '"' + "x" * MAX_TEXT + '"'),
    ],
)
def test_reasons(reason: str, written: str) -> None:
    value = format_value(ID, [Result("dkim", "fail", reason=reason)], fold=False)
    assert value == f"{ID}; dkim=fail reason={written}"


@pytest.mark.parametrize(
    ("authserv_id", "written"),
    [
        ("mail.example.nl", "mail.example.nl"),
        ("mail/1", '"mail/1"'),
        ("bücher.example", "xn--bcher-kva.example"),
    ],
)
def test_authserv_ids(authserv_id: str, written: str) -> None:
    assert format_value(authserv_id, []) == f"{written}; none"


@pytest.mark.parametrize("authserv_id", ["", " ", "a b", "a\nb", "a\0", "x" * 300, "ü ü"])
def test_bad_authserv_ids(authserv_id: str) -> None:
    with pytest.raises(ValueError, match="authserv-id"):
        format_value(authserv_id, [])


@pytest.mark.parametrize(
    ("method", "result"), [("dkim", "pass; x=y"), ("", "pass"), ("dkim", ""), ("d\nk", "pass")]
)
def test_our_own_words_have_to_be_words(method: str, result: str) -> None:
    with pytest.raises(ValueError, match="not a method"):
        format_value(ID, [Result(method, result)])


@pytest.mark.parametrize(
    ("ptype", "name"), [("", "action"), ("header", "d; x"), ("he ader", "d"), ("header", "a.b")]
)
def test_properties_without_a_proper_name_are_left_out(ptype: str, name: str) -> None:
    assert format_value(ID, [Result("x", "pass", (Property(ptype, name, "v"),))]) == f"{ID};\n\tx=pass"


_TEXT = st.one_of(
    st.text(max_size=40),
    st.text('ab.@;=()"\\ \t\r\n?<>,ü\0', max_size=30),
    st.sampled_from(
        ["x; dmarc=pass header.from=bank.example", "a(b", "a)b", "=?a?q?b?=", "(gatepost-seal v1)"]
    ),
    st.text("ab \\\"'", min_size=100, max_size=1200),
)
_RESULTS = st.lists(
    st.builds(
        Result,
        st.sampled_from(["dkim", "spf", "dmarc", "arc", "x-own"]),
        st.sampled_from(["pass", "fail", "none", "temperror"]),
        st.lists(
            st.builds(
                Property,
                st.sampled_from(["header", "smtp", "policy", "dns"]),
                st.sampled_from(["d", "from"]),
                _TEXT,
            ),
            max_size=4,
        ).map(tuple),
        _TEXT,
        _TEXT,
    ),
    max_size=4,
)


@given(_RESULTS, st.booleans())
@settings(max_examples=200, deadline=None)
def test_no_input_makes_another_result_line_or_field(results: list[Result], fold: bool) -> None:
    value = format_value(ID, results, fold=fold)
    assert "\r" not in value
    assert "\0" not in value
    lines = value.split("\n")
    assert all(line.startswith("\t") for line in lines[1:])
    assert fold or len(lines) == 1
    if fold:
        assert all(len(line.encode()) <= 998 for line in lines)
    assert value.isascii()
    parsed = read(value.encode()[:8192]) if len(value) <= 8192 else None
    if parsed is None:
        return
    assert parsed.authserv_id == ID
    assert [(r.method, r.result) for r in parsed.results] == [(r.method, r.result) for r in results]
    for found, given_ in zip(parsed.results, results, strict=True):
        assert set(found.properties) <= set(given_.properties)


@given(_RESULTS)
@settings(max_examples=100, deadline=None)
def test_another_reader_finds_the_same_results(results: list[Result]) -> None:
    # authres takes what follows an empty quoted string for its value.
    results = [r._replace(properties=tuple(p for p in r.properties if p.value)) for r in results]
    value = format_value(ID, results, fold=False)
    found = authres.all_features().parse_value(value)
    assert found.authserv_id == ID
    assert [(r.method, r.result) for r in found.results] == [(r.method, r.result) for r in results]


@given(st.lists(st.text("abc.", min_size=1, max_size=60).filter(lambda t: not t.isspace()), max_size=6))
@settings(max_examples=100)
def test_lines_are_short_where_words_are(values: list[str]) -> None:
    result = Result("dkim", "pass", tuple(Property("header", "d", value) for value in values))
    value = format_value(ID, [result, result])
    assert all(len(line) <= 78 for line in value.split("\n"))
