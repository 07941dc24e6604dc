"""OpenDMARC's options as ours."""

from __future__ import annotations

import pytest

from gatepost.importing.draft import Plain, Sort
from gatepost.importing.take_over import take_over
from tests.unit.importing.support import Host, section, taken, told

SOCKET = "Socket inet:8893@127.0.0.1\n"
FILES = {"/etc/i": "127.0.0.1\n::1\n", "/etc/j": "localhost\nmx.example.org\n192.0.2.0/24\n"}


@pytest.mark.parametrize(
    ("lines", "key", "value"),
    [
        ("", "on_reject", "reject"),
        ("", "on_temperror", "tempfail"),
        ("", "on_quarantine", "accept"),
        ("", "history", None),
        ("", "ignore_hosts", ["127.0.0.1"]),
        ("HoldQuarantinedMessages true", "on_quarantine", "quarantine"),
        ("HistoryFile /run/o.dat", "history", "/var/lib/gatepost/dmarc.db"),
        ("IgnoreAuthenticatedClients false", "ignore_authenticated", False),
        ("IgnoreHosts /etc/i", "ignore_hosts", ["127.0.0.1", "::1"]),
        ("IgnoreHosts /etc/j", "ignore_hosts", ["127.0.0.0/8", "::1", "mx.example.org", "192.0.2.0/24"]),
        ("IgnoreMailFrom Example.org, example.com", "ignore_from", ["Example.org", "example.com"]),
        ("RejectMultiValueFrom yes", "bad_from", "reject"),
        ("RequiredHeaders yes", "bad_from", "reject"),
    ],
)
def test_enforcing(lines: str, key: str, value: Plain) -> None:
    draft = taken("opendmarc", f"RejectFailures true\n{SOCKET}{lines}", FILES)
    assert section(draft, "dmarc-enforce")[key] == value


def test_alone_without_refusing_it_is_where_mail_comes_in() -> None:
    found = section(taken("opendmarc", f"{SOCKET}RejectFailures false"), "dmarc")
    assert found["mode"] == "enforce"
    assert [found[key] for key in ("on_reject", "on_quarantine", "on_temperror", "indirect_mail")] == [
        "accept"
    ] * 4


@pytest.mark.parametrize(
    "files",
    [
        [("/etc/opendmarc-stamp.conf", SOCKET)],
        [("/etc/b", f"{SOCKET}RejectFailures no"), ("/etc/a", "RejectFailures yes")],
    ],
)
def test_a_stamp_daemon_is_told_by_its_name_or_by_the_other(files: list[tuple[str, str]]) -> None:
    draft = take_over("opendmarc", files, Host({}).read)
    assert section(draft, "dmarc-stamp") == {
        "kind": "dmarc",
        "mode": "stamp",
        "socket": "inet:8893@127.0.0.1",
    }


def test_a_stamp_daemon_does_not_ignore_its_own_host() -> None:
    text = (
        f"{SOCKET}IgnoreHosts /etc/j\nRequiredHeaders true\nHistoryFile /run/x\nHoldQuarantinedMessages yes"
    )
    draft = taken("opendmarc", text, FILES, "/etc/stamp.conf")
    assert section(draft)["ignore_hosts"] == ["mx.example.org", "192.0.2.0/24"]
    assert not {"bad_from", "history", "on_quarantine"} & set(section(draft))
    assert any("127.0.0.1 is not ignored" in line for line in told(draft, Sort.DIFFERENT))


@pytest.mark.parametrize(
    ("lines", "aliases"),
    [
        ("AuthservID a.example\nTrustedAuthservIDs A.example", None),
        ("AuthservID a.example\nTrustedAuthservIDs b.example, HOSTNAME", ["b.example"]),
        ("AuthservID HOSTNAME\nTrustedAuthservIDs HOSTNAME", None),
    ],
)
def test_names_that_are_ours(lines: str, aliases: Plain) -> None:
    assert taken("opendmarc", SOCKET + lines).plain().get("authserv_aliases") == aliases
