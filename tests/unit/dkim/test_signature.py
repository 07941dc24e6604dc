"""The DKIM-Signature field (RFC 6376 §3.2, §3.5), clause by clause."""

from __future__ import annotations

import re

import pytest
from dkim.util import InvalidTagValueList, parse_tag_value
from hypothesis import assume, given
from hypothesis import strategies as st

from gatepost.dkim import taglist
from gatepost.dkim.signature import FOREVER, MAX_FIELD, Signature, SignatureError, parse_signature

GOOD = {
    "v": "1",
    "a": "rsa-sha256",
    "d": "example.nl",
    "s": "mail",
    "h": "from:to",
    "bh": "Zm9v",
    "b": "YmFy",
}


def parsed(*extra: str, without: str = "", **tags: str) -> Signature:
    fields = {name: value for name, value in (GOOD | tags).items() if name != without}
    text = "; ".join([*(f"{name}={value}" for name, value in fields.items()), *extra])
    return parse_signature(f" {text}".encode())


def test_defaults() -> None:
    signature = parsed()
    assert (signature.header_canonicalization, signature.body_canonicalization) == ("simple", "simple")
    assert (signature.identity, signature.identity_domain) == ("@example.nl", "example.nl")
    assert (signature.timestamp, signature.expiration, signature.length) == (None, None, None)
    assert signature.key_name == "mail._domainkey.example.nl"


@pytest.mark.parametrize(
    ("tags", "attribute", "value"),
    [
        ({"a": "RSA-SHA256"}, "algorithm", "rsa-sha256"),
        ({"a": "ed25519-sha256"}, "algorithm", "ed25519-sha256"),
        ({"a": "rsa-sha1"}, "algorithm", "rsa-sha1"),
        ({"c": "relaxed"}, "body_canonicalization", "simple"),
        ({"c": "relaxed/relaxed"}, "body_canonicalization", "relaxed"),
        ({"c": "simple/relaxed"}, "header_canonicalization", "simple"),
        ({"d": "EXAMPLE.nl"}, "domain", "example.nl"),
        ({"d": "bücher.example"}, "domain", "xn--bcher-kva.example"),
        ({"s": "März"}, "selector", "xn--mrz-qla"),
        ({"s": "a.b_c"}, "selector", "a.b_c"),
        ({"i": "anna@example.nl"}, "identity", "anna@example.nl"),
        ({"i": "a=20b=40c@sub.example.nl"}, "identity", "a b@c@sub.example.nl"),
        ({"i": "@SUB.example.nl"}, "identity_domain", "sub.example.nl"),
        ({"h": "From : TO\n\t: Subject"}, "signed", (b"from", b"to", b"subject")),
        ({"h": "from:from:x-a"}, "signed", (b"from", b"from", b"x-a")),
        ({"b": "YW\n\t Jj"}, "signature", b"abc"),
        ({"bh": " Zm 9v "}, "body_hash", b"foo"),
        ({"t": "1", "x": "2"}, "expiration", 2),
        ({"x": "9999999999999"}, "expiration", FOREVER),
        ({"l": "0"}, "length", 0),
        ({"l": "1234"}, "length", 1234),
        ({"q": "dns/txt"}, "selector", "mail"),
        ({"q": "x/y : DNS/TXT"}, "selector", "mail"),
        ({"z": "From:a=20b|To:c", "unknown": "x=y"}, "selector", "mail"),
    ],
)
def test_read(tags: dict[str, str], attribute: str, value: object) -> None:
    assert getattr(parsed(**tags), attribute) == value


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ({"v": "2"}, "unknown version"),
        ({"v": "1.0"}, "unknown version"),
        ({"a": "rsa-md5"}, "unknown algorithm"),
        ({"a": "ed25519-sha257"}, "unknown algorithm"),
        ({"a": ""}, "unknown algorithm"),
        ({"d": ""}, "d= is no domain"),
        ({"d": "a..b"}, "d= is no domain"),
        ({"d": "legit.com(.evil.com"}, "d= is no domain"),
        ({"d": "a" * 64 + ".nl"}, "d= is no domain"),
        ({"d": ".".join(["a" * 60] * 5)}, "d= is no domain"),
        ({"d": "-a.nl"}, "d= is no domain"),
        ({"d": "example.nl."}, "d= is no domain"),
        ({"s": ""}, "s= is no selector"),
        ({"s": "a b"}, "s= is no selector"),
        ({"s": "../x"}, "s= is no selector"),
        ({"q": "http"}, "unknown query method"),
        ({"c": "nofws"}, "unknown canonicalization"),
        ({"c": "relaxed/"}, "unknown canonicalization"),
        ({"c": "relaxed/simple/x"}, "unknown canonicalization"),
        ({"i": "example.nl"}, "i= is no identity"),
        ({"i": "a@"}, "i= is no identity"),
        ({"i": "a@example.org"}, "i= is not within d="),
        ({"i": "a@notexample.nl"}, "i= is not within d="),
        ({"h": ""}, "h= is no list of field names"),
        ({"h": "from:"}, "h= is no list of field names"),
        ({"h": "from::to"}, "h= is no list of field names"),
        ({"h": "from:a b"}, "h= is no list of field names"),
        ({"h": "to:subject"}, "h= lacks From"),
        ({"h": ":".join(["from"] * 257)}, "h= names more than 256 fields"),
        ({"b": ""}, "b= is not base64"),
        ({"b": "Y"}, "b= is not base64"),
        ({"b": "YmFy!"}, "b= is not base64"),
        ({"b": "YmFy="}, "b= is not base64"),
        ({"b": "YmFy===="}, "b= is not base64"),
        ({"bh": "===="}, "bh= is not base64"),
        ({"bh": "Zm9vYmF="[:-1]}, "bh= is not base64"),
        ({"t": ""}, "t= is no number"),
        ({"t": "-1"}, "t= is no number"),
        ({"t": "١"}, "t= is no number"),
        ({"x": "bogus"}, "x= is no number"),
        ({"t": "5", "x": "5"}, "x= is not after t="),
        ({"t": "5", "x": "4"}, "x= is not after t="),
        ({"l": "-1"}, "l= is no number"),
        ({"l": "1" * 77}, "l= is no number"),
        ({"l": "0x10"}, "l= is no number"),
    ],
)
def test_refused(tags: dict[str, str], reason: str) -> None:
    with pytest.raises(SignatureError) as caught:
        parsed(**tags)
    assert str(caught.value) == reason


@pytest.mark.parametrize("name", list(GOOD))
def test_required_tags(name: str) -> None:
    with pytest.raises(SignatureError, match=f"no {name}="):
        parsed(without=name)


@pytest.mark.parametrize(
    "value", [b"v=1; v=1", b"v=1; =x", b"v=1; x", b"1x=2", b"a-b=c", b"v=1\x00", b"\x01", b"a\rb=c"]
)
def test_no_tag_list(value: bytes) -> None:
    with pytest.raises(SignatureError):
        parse_signature(value)


def test_a_broken_signature_is_still_reported_by_name() -> None:
    with pytest.raises(SignatureError) as caught:
        parsed(without="bh")
    assert (caught.value.domain, caught.value.selector) == ("example.nl", "mail")
    assert caught.value.algorithm == "rsa-sha256"


def test_field_length_is_bounded() -> None:
    with pytest.raises(SignatureError, match="longer than"):
        parse_signature(b"z=" + b"x" * MAX_FIELD)


tag_text = st.lists(
    st.sampled_from(
        [
            "v=1",
            "a=rsa-sha256",
            "d=example.nl",
            "s=m",
            "h=from",
            "b=YWJj",
            "bh=YWJj",
            "=",
            ";",
            "x",
            "\n ",
            "i=@",
            "l=9",
        ]
    ),
    max_size=14,
).map("; ".join)


@given(st.one_of(st.binary(max_size=300), tag_text.map(str.encode)))
def test_never_raises_anything_else(value: bytes) -> None:
    try:
        signature = parse_signature(value)
    except SignatureError:
        return
    assert signature.domain
    assert signature.signature


@given(st.one_of(st.binary(max_size=300), tag_text.map(str.encode)))
def test_tag_list_never_raises_anything_else(value: bytes) -> None:
    try:
        tags = taglist.parse(value, 1000)
    except taglist.TagListError:
        return
    assert all(name.isascii() and b"\n" not in text for name, text in tags.items())


@given(st.one_of(tag_text, st.text(alphabet="a1_=; -b", max_size=12)))
def test_tag_lists_are_what_they_are_to_dkimpy(text: str) -> None:
    try:
        tags = taglist.parse(text.encode(), 1000)
    except taglist.TagListError as error:
        assume("control character" not in str(error))
        tags = None
    unfolded = text.encode().replace(b"\r\n", b"").replace(b"\n", b"")
    try:
        expected = parse_tag_value(unfolded)
    except InvalidTagValueList:
        expected = None
    # It takes names such as "a-b", as it looks at their beginning.
    if expected is not None and not all(re.fullmatch(rb"\w+", name) for name in expected):
        expected = None
    assert tags == expected
