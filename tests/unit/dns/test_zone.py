from __future__ import annotations

from pathlib import Path

import dns.name
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatepost.dns.answer import Answer, Outcome
from gatepost.dns.zone import ZoneError, load_zone, parse_zone

ZONE = """
Example.org.:
  - {MX: [10, mail.example.org]}
  - {MX: [5, Backup.example.org.]}
  - {TXT: "v=spf1 mx -all"}
  - {TXT: [first , second]}
mail.example.org: [{A: 192.0.2.1}, {AAAA: "2001:DB8::1"}, {A: 192.0.2.0}]
1.2.0.192.in-addr.arpa: [{PTR: mail.example.org}]
nomail.example.org: [{MX: [0, .]}]
www.example.org: [{CNAME: Web.example.org}]
web.example.org: [{CNAME: mail.example.org}]
out.example.org: [{CNAME: example.com}]
dead.example.org: [{CNAME: gone.example.org}]
gone.example.org: [NXDOMAIN]
loop.example.org: [{CNAME: pool.example.org}]
pool.example.org: [{CNAME: loop.example.org}]
bad.example.org: [SERVFAIL]
slow.example.org: [TIMEOUT]
none.example.org: [NODATA]
empty.example.org: []
no: [{TXT: 1e3}]
utf8.example.org: [{TXT: "grüße"}, {TXT: ""}]
"""


@pytest.mark.parametrize(
    ("name", "rdtype", "outcome", "records"),
    [
        ("example.org", "MX", Outcome.FOUND, ((10, "mail.example.org"), (5, "backup.example.org"))),
        ("example.org", "TXT", Outcome.FOUND, (b"v=spf1 mx -all", b"firstsecond")),
        ("example.org", "A", Outcome.NODATA, ()),
        ("mail.example.org", "A", Outcome.FOUND, ("192.0.2.1", "192.0.2.0")),
        ("mail.example.org", "AAAA", Outcome.FOUND, ("2001:db8::1",)),
        ("1.2.0.192.in-addr.arpa", "PTR", Outcome.FOUND, ("mail.example.org",)),
        ("nomail.example.org", "MX", Outcome.FOUND, ((0, ""),)),
        ("www.example.org", "A", Outcome.FOUND, ("192.0.2.1", "192.0.2.0")),
        ("www.example.org", "CNAME", Outcome.FOUND, ("web.example.org",)),
        ("www.example.org", "TXT", Outcome.NODATA, ()),
        ("dead.example.org", "A", Outcome.NXDOMAIN, ()),
        ("loop.example.org", "A", Outcome.SERVFAIL, ()),
        ("bad.example.org", "A", Outcome.SERVFAIL, ()),
        ("slow.example.org", "TXT", Outcome.TIMEOUT, ()),
        ("none.example.org", "TXT", Outcome.NODATA, ()),
        ("empty.example.org", "TXT", Outcome.NODATA, ()),
        ("no", "TXT", Outcome.FOUND, (b"1e3",)),
        ("utf8.example.org", "TXT", Outcome.FOUND, ("grüße".encode(), b"")),
    ],
)
def test_answers(name: str, rdtype: str, outcome: Outcome, records: tuple[object, ...]) -> None:
    answer = parse_zone(ZONE).find((name, rdtype))
    assert isinstance(answer, Answer)
    assert (answer.outcome, answer.records) == (outcome, records)
    assert not answer.authentic
    assert bool(answer.detail) == answer.temporary


def test_a_cname_may_lead_out_of_the_file() -> None:
    assert parse_zone(ZONE).find(("out.example.org", "A")) == dns.name.from_text("example.com")


@pytest.mark.parametrize("name", ["org", "sub.example.org", "example.com"])
def test_names_not_in_the_file(name: str) -> None:
    assert parse_zone(ZONE).find((name, "TXT")) is None


@pytest.mark.parametrize("text", ["", "# nothing\n"])
def test_an_empty_file_is_an_empty_zone(text: str) -> None:
    assert parse_zone(text).find(("example.org", "TXT")) is None


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("- a.org\n", 1, "mapping"),
        ("a.org: x\n", 1, "list of records"),
        ("\na.org: [SPAM]\n", 2, "SERVFAIL"),
        ("a.org:\n  - {TXT: x}\n  - TIMEOUT\n", 3, "alone"),
        ("a.org:\n  - {SRV: x}\n", 2, "unknown record type"),
        ("a.org:\n  - {txt: x}\n", 2, "unknown record type"),
        ("a.org:\n  - {TXT: {a: b}}\n", 2, "one value"),
        ("a.org:\n  - {TXT: [[a]]}\n", 2, "one value"),
        ("a.org:\n  - {A: 1.2.3}\n", 2, "IP address"),
        ("a.org:\n  - {A: '::1'}\n", 2, "IPv4"),
        ("a.org:\n  - {AAAA: 1.2.3.4}\n", 2, "IPv6"),
        ("a.org:\n  - {MX: mail}\n", 2, "preference"),
        ("a.org:\n  - {MX: [mail]}\n", 2, "preference"),
        ("a.org:\n  - {MX: [x, mail]}\n", 2, "65535"),
        ("a.org:\n  - {MX: [65536, mail]}\n", 2, "65535"),
        ("a.org:\n  - {MX: [10, a..b]}\n", 2, "empty label"),
        ("a.org:\n  - {CNAME: ''}\n", 2, "empty label"),
        ("a.org: [{CNAME: b}, {A: 1.2.3.4}]\n", 1, "CNAME"),
        ("a.org: [{CNAME: b}, {CNAME: c}]\n", 1, "CNAME"),
        ("b.org: []\na..org: []\n", 2, "empty label"),
        ("bücher.org: []\n", 1, "not ASCII"),
        ("a.org: []\nA.ORG.: []\n", 2, "second time"),
        ("? [a]\n: []\n", 1, "one value"),
        ("a.org: [\n", 2, ""),
        ("a.org: *x\n", 1, "alias"),
        ("a: []\n---\nb: []\n", 2, "document"),
    ],
)
def test_errors_name_file_and_line(text: str, line: int, what: str, tmp_path: Path) -> None:
    path = tmp_path / "zone.yaml"
    path.write_text(text)
    with pytest.raises(ZoneError) as caught:
        load_zone(path)
    place, _, message = str(caught.value).partition(": ")
    assert place == f"{path}:{line}"
    assert what in message


@pytest.mark.parametrize("content", [None, b"\xff\xfe\xfa", b"a: \x00"])
def test_files_that_cannot_be_read(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "zone.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ZoneError, match=r"zone\.yaml"):
        load_zone(path)


@given(st.text(alphabet="ab.:- \n[]{},'\"&*?MXTA10NODATA", max_size=60))
@settings(max_examples=300)
def test_any_text_is_a_zone_or_a_zone_error(text: str) -> None:
    message = ""
    try:
        parse_zone(text)
    except ZoneError as error:
        message = str(error)
    assert message.isprintable()
