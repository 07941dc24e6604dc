"""Who is never greylisted."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.greylisting.allow import AddressList, ClientList, Line, entries
from policy.greylisting.pattern import LONGEST_TEXT, PatternError, compile_pattern

FILE = """\
# a comment
example.org
.example.net     # and all below it

192.0.2
198.51.100.7
203.0.113.128/25
2001:db8::/32
2001:db9::1
/^mail\\d+\\.example\\.com$/
/^mx[12].siol#\\.example$/  # with a comment
"""

UNKNOWN = "unknown"
OTHER = "100.64.0.1"

CLIENTS = [
    ("example.org", OTHER, "example.org"),
    ("MX.Example.org", OTHER, "example.org"),
    ("mx.example.org.", OTHER, "example.org"),
    ("notexample.org", OTHER, ""),
    ("example.org.evil.example", OTHER, ""),
    ("a.b.example.net", OTHER, ".example.net"),
    (UNKNOWN, "192.0.2.200", "192.0.2"),
    (UNKNOWN, "192.0.20.1", ""),
    (UNKNOWN, "198.51.100.7", "198.51.100.7"),
    (UNKNOWN, "::ffff:198.51.100.7", "198.51.100.7"),
    (UNKNOWN, "198.51.100.8", ""),
    (UNKNOWN, "203.0.113.129", "203.0.113.128/25"),
    (UNKNOWN, "203.0.113.1", ""),
    (UNKNOWN, "2001:db8:ffff::1", "2001:db8::/32"),
    (UNKNOWN, "2001:db9::1", "2001:db9::1"),
    (UNKNOWN, "2001:db9::2", ""),
    ("mail17.example.com", OTHER, "/^mail\\d+\\.example\\.com$/"),
    ("MAIL17.example.com", OTHER, "/^mail\\d+\\.example\\.com$/"),
    ("mail.example.com", OTHER, ""),
    ("mx1xsiol#.example", OTHER, "/^mx[12].siol#\\.example$/  # with a comment"),
    (UNKNOWN, UNKNOWN, ""),
    ("", "", ""),
]


def clients(text: str) -> ClientList:
    found = ClientList()
    for line in entries(text):
        found.add(line.text)
    return found


@pytest.mark.parametrize(("name", "address", "entry"), CLIENTS)
def test_clients(name: str, address: str, entry: str) -> None:
    assert clients(FILE).find(name, address) == entry


def test_an_expression_does_not_look_at_addresses_and_unconfirmed_names() -> None:
    everything = clients("/./")
    assert everything.find("mx.example.org", OTHER)
    assert not everything.find(UNKNOWN, OTHER)


ADDRESSES = """\
postmaster@
abuse@example.org
example.net
<>
/^noreply[0-9]+@/
bücher.example
"""


@pytest.mark.parametrize(
    ("address", "entry"),
    [
        ("postmaster@anywhere.example", "postmaster@"),
        ("PostMaster+x@anywhere.example", "postmaster@"),
        ("postmaster", "postmaster@"),
        ("abuse@example.org", "abuse@example.org"),
        ("Abuse+1@EXAMPLE.org.", "abuse@example.org"),
        ("abuse@sub.example.org", ""),
        ("abuse@example.com", ""),
        ("bob@example.net", "example.net"),
        ("bob@a.example.net", "example.net"),
        ("bob@notexample.net", ""),
        ("", "<>"),
        ("noreply77@example.com", "/^noreply[0-9]+@/"),
        ("x@xn--bcher-kva.example", "bücher.example"),
        ("x@bücher.example", "bücher.example"),
        ("x@\udcff.example", ""),
        ("x@" + "a." * 500, ""),
    ],
)
def test_addresses(address: str, entry: str) -> None:
    found = AddressList()
    for line in entries(ADDRESSES):
        found.add(line.text)
    assert found.find(address) == entry


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        ("/unclosed", "does not end with one"),
        ("/(/", "not a regular expression"),
        ("/(a+)+$/", "repetition"),
        ("/a/b", "does not end with one"),
        ("exa mple.org", "no domain"),
        ("1.2.3.4.5", ""),
        ("1.2.3.400", "no address"),
        ("10.0.0.0/40", "no address or network"),
        ("2001:db8::/200", "no address or network"),
        ("2001:zz::", "no address or network"),
    ],
)
def test_entries_that_are_none(entry: str, complaint: str) -> None:
    if complaint:
        with pytest.raises(ValueError, match=complaint):
            ClientList().add(entry)
    else:
        ClientList().add(entry)


@pytest.mark.parametrize("entry", ["@", "name@exa mple", "/x", "a@b@", "x y"])
def test_addresses_that_are_none(entry: str) -> None:
    found = AddressList()
    if entry == "a@b@":
        found.add(entry)
        assert found.find("a@b@c.example") == entry
    else:
        with pytest.raises(ValueError, match=r"domain|does not end"):
            found.add(entry)


def test_lines_keep_their_numbers() -> None:
    assert list(entries("\n#x\r\n a \nb # c\n")) == [Line(3, "a"), Line(4, "b")]


PATIENT = [
    r"^mail\d+\.example\.com$",
    r"^mail-in-\d+\.example\.net$",
    r"^lake.*mta.*\.example\.net$",
    r"^(?:smtp\w*|postfix)[0-9]+-g[0-9]+\.example\.fr$",
    r"^.*?.server.example.de$",
    r"^p?smtp.*\.example\.nl$",
    r"\.example\.(?:com|net)$",
    r"^a{3}b{1,4}[]x]+(?:ab)*$",
    r"^m\d+-\d+\.example\.com$",
    r"^[^\]]+\.x$",
    "^a++b$",
]

ENDLESS = [
    "^(a+)+$",
    "^(a*)*$",
    "^(a|a)*$",
    "^(a|aa)+$",
    "^(a?){50}$",
    "^(a|b){,40}$",
    "^(.*a){20}$",
    "^a*a*a*a*b$",
    "a*a*a*b",
    "^((a{1,9}){1,9}){1,9}$",
    "^" + "a?" * 30 + "a" * 30 + "$",
    "^" + "(a|a)" * 40 + "$",
    r"^(a)\1$",
    "^(?=.*x).*$",
    "^(?<!a)b$",
    "(?i)x",
    "a" * 2000,
]


@pytest.mark.parametrize("pattern", PATIENT)
def test_expressions_that_are_taken(pattern: str) -> None:
    matches = compile_pattern(pattern)
    for hostile in ("a" * LONGEST_TEXT, "smtp1" * 64, "lake" + "mta." * 79, "1-" * 160):
        started = time.process_time()
        matches(hostile)
        assert time.process_time() - started < 0.5


@pytest.mark.parametrize("pattern", ENDLESS)
def test_expressions_that_are_refused(pattern: str) -> None:
    with pytest.raises(PatternError):
        compile_pattern(pattern)


def test_a_text_that_is_too_long_matches_nothing() -> None:
    matches = compile_pattern("a")
    assert matches("a" * LONGEST_TEXT)
    assert not matches("a" * (LONGEST_TEXT + 1))


@given(st.text(alphabet="ab()|*+?{}[]^$\\,12.:", max_size=24))
@settings(max_examples=300)
def test_no_expression_that_is_taken_takes_long(pattern: str) -> None:
    try:
        matches = compile_pattern(pattern)
    except PatternError:
        return
    started = time.process_time()
    matches("ab" * 60 + "a" * 200)
    matches("b" + "a" * 300)
    assert time.process_time() - started < 1.0


@given(st.text(max_size=80))
def test_an_entry_is_taken_or_refused_in_words(text: str) -> None:
    for target in (ClientList(), AddressList()):
        complaint = ""
        try:
            target.add(text)
        except ValueError as error:
            complaint = str(error)
        assert complaint.isprintable()
