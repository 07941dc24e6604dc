"""Lists of hosts and networks, public suffixes, Postfix versions, header counts."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from gatepost.header_count import count_problem
from gatepost.hosts import HostList
from gatepost.message import HeaderField
from gatepost.networks import Networks
from gatepost.postfix.version import miscounts_headers
from gatepost.suffixes import public_suffix_test

LIST = HostList(
    [
        ".example.com", "!nonpeer.example.com", "!.nonpeer.example.com", "allowed.nonpeer.example.com",
        "smtp.example.net", "192.168.1.0/24", "!192.168.1.64", "!192.168.1.128/30", "2001:db8::/64",
        "!2001:db8::99", "!2001:db8::fff0/126",
    ]
)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "address", "listed"),
    [
        ("mail.example.com", "127.0.0.1", True),
        ("MAIL.Example.COM.", "127.0.0.1", True),
        ("example.com", "127.0.0.1", False),
        ("notexample.com", "127.0.0.1", False),
        ("nonpeer.example.com", "127.0.0.1", False),
        ("a.nonpeer.example.com", "192.168.1.1", False),
        ("allowed.nonpeer.example.com", "127.0.0.1", True),
        ("smtp.example.net", "127.0.0.1", True),
        ("localhost", "192.168.1.63", True),
        ("localhost", "192.168.1.64", False),
        ("unknown", "192.168.1.128", False),
        ("unknown", "192.168.1.131", False),
        ("", "192.168.1.132", True),
        ("", "192.168.2.1", False),
        ("", "2001:db8::1", True),
        ("", "2001:db8::99", False),
        ("", "2001:db8::fff3", False),
        ("", "2001:db8::fff4", True),
        ("", "::ffff:192.168.1.1", True),
        ("", "", False),
        ("", "nonsense", False),
    ],
)
def test_the_narrowest_entry_decides(name: str, address: str, listed: bool) -> None:
    assert LIST.matches(name, address) is listed


def test_of_two_alike_the_exception_wins() -> None:
    for entries in (["!a.example", "a.example"], ["a.example", "!a.example"]):
        assert not HostList(entries).matches("a.example", "")


@pytest.mark.parametrize("entry", ["", "!", ".", "a..b", "a b", "10.0.0.0/33", "a/b", "*.example.com"])
def test_no_entry(entry: str) -> None:
    with pytest.raises(ValueError, match="is no address"):
        HostList([entry])


def test_networks() -> None:
    networks = Networks([ip_network("127.0.0.0/8"), ip_network("::1/128")])
    for address, inside in (
        ("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("::ffff:127.0.0.1", True),
        ("128.0.0.1", False), ("::2", False), ("", False), ("unknown", False), ("127.0.0.1%lo", False),
    ):  # fmt: skip
        assert (address in networks) is inside, address


def test_public_suffixes() -> None:
    is_public = public_suffix_test()
    for domain, public in (
        ("nl", True), ("co.uk", True), ("localhost", True), ("example.nl", False), ("a.example.co.uk", False),
        ("github.io", False), ("x.github.io", False), ("nosuchtld", True), ("example.nosuchtld", False),
    ):  # fmt: skip
        assert is_public(domain) is public, domain


@pytest.mark.parametrize(
    ("version", "miscounts"),
    [
        ("Postfix 3.7.10", True), ("Postfix 3.7.11", False), ("3.5.24", True), ("3.5.25", False), ("3.6.14", True),
        ("3.8.5", True), ("3.8.6", False), ("3.9.0", False), ("3.10.1", False), ("3.4.99", True), ("2.11.3", True),
        ("3.9-20230901", False), ("", False), ("8.17.1", False), ("Sendmail", False), ("3.7.10.1", False),
    ],
)  # fmt: skip
def test_postfix_versions(version: str, miscounts: bool) -> None:
    assert miscounts_headers(version) is miscounts


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (["From", "Date"], ""),
        (["From", "Date", "Received", "Received", "X", "X"], ""),
        (["Date"], "no From field"),
        (["From"], "no Date field"),
        (["From", "Date", "from"], "2 From fields"),
        (["From ", "Date", "From"], "2 From fields"),
        (["From", "Date", "Subject", "SUBJECT", "subject"], "3 Subject fields"),
        (["From", "Date", "Message-ID", "Message-Id"], "2 Message-Id fields"),
    ],
)
def test_header_counts(names: list[str], problem: str) -> None:
    assert count_problem([HeaderField(name.encode(), b" x") for name in names]) == problem
