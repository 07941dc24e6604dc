from __future__ import annotations

import dns.name
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatepost.dns import names
from gatepost.domains import InvalidNameError, to_ascii


@pytest.mark.parametrize(
    ("domain", "expected"),
    [
        ("example.org", "example.org"),
        ("Example.ORG.", "example.org"),
        ("localhost", "localhost"),
        ("sel._domainkey.example.org", "sel._domainkey.example.org"),
        ("-odd-.example.org", "-odd-.example.org"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.example.", "xn--bcher-kva.example"),
        ("_dmarc.bücher.example", "_dmarc.xn--bcher-kva.example"),
        ("faß.de", "xn--fa-hia.de"),
        ("bücher。example", "xn--bcher-kva.example"),
        ("ｅｘａｍｐｌｅ．org", "example.org"),
        ("\u212aelvin.example", "kelvin.example"),
        ("a" * 63 + ".org", "a" * 63 + ".org"),
        (".".join(["a" * 49] * 5) + ".org", ".".join(["a" * 49] * 5) + ".org"),
    ],
)
def test_domains_become_ascii(domain: str, expected: str) -> None:
    assert to_ascii(domain) == expected


@pytest.mark.parametrize(
    "domain",
    [
        "",
        ".",
        "..",
        "a..b",
        ".a",
        "a.org..",
        "a b.org",
        "a.org\n",
        "a.org\r\nX: y",
        "a@b.org",
        "[192.0.2.1]",
        "a" * 64 + ".org",
        ".".join(["a" * 50] * 5),
        "ü" * 60 + ".org",
        "ü" * 100_000,
        "ü..org",
        "bü cher.org",
        "xn--ü.org",
        "\u0301a.org",
        "a\ud800.org",
        "a\u2028.org",
    ],
)
def test_what_is_no_domain(domain: str) -> None:
    with pytest.raises(ValueError, match=r"^[ -~]+$"):
        to_ascii(domain)


@given(st.text(max_size=300))
@settings(max_examples=200)
def test_any_text_gives_a_plain_name_or_is_refused(domain: str) -> None:
    try:
        name = to_ascii(domain)
    except InvalidNameError:
        return
    assert to_ascii(name) == name
    assert names.text(names.parse(name)) == name


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("Example.org.", (b"example", b"org", b"")),
        (r"a\.b.org", (b"a\\", b"b", b"org", b"")),
        ("a b.org", (b"a b", b"org", b"")),
        ("a" * 63, (b"a" * 63, b"")),
    ],
)
def test_characters_stand_for_themselves(name: str, labels: tuple[bytes, ...]) -> None:
    assert names.parse(name).labels == labels


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "empty label"),
        (".", "empty label"),
        ("a..b", "empty label"),
        ("a.b..", "empty label"),
        ("a" * 64 + ".org", "63 octets"),
        (".".join(["a" * 63] * 4), "253 octets"),
        ("bücher.org", "not ASCII"),
        ("\u212aelvin.org", "not ASCII"),
    ],
)
def test_names_that_the_dns_cannot_carry(name: str, why: str) -> None:
    with pytest.raises(InvalidNameError, match=why):
        names.parse(name)


@given(st.text(max_size=300))
@settings(max_examples=200)
def test_parsing_raises_nothing_else(name: str) -> None:
    try:
        parsed = names.parse(name)
    except InvalidNameError:
        return
    assert b".".join(parsed.labels) == name.lower().encode().removesuffix(b".") + b"."


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (dns.name.root, ""),
        (dns.name.from_text("Mail.Example.org."), "Mail.Example.org"),
        (dns.name.Name([b"a\nb", b"x.y", b"\xff", b""]), r"a\010b.x\.y.\255"),
    ],
)
def test_names_as_text(name: dns.name.Name, expected: str) -> None:
    assert names.text(name) == expected
