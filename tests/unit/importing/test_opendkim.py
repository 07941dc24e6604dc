"""OpenDKIM's options as ours."""

from __future__ import annotations

import pytest

from gatepost.importing.draft import Plain, Sort
from gatepost.importing.take_over import take_over
from tests.unit.importing.support import Host, section, taken, told

SOCKET = "Socket inet:8891@127.0.0.1\n"
FILES = {
    "/etc/k": "mail._domainkey.example.nl example.nl:mail:/etc/keys/mail.private\n",
    "/etc/s": "*@example.nl mail._domainkey.example.nl\n",
    "/etc/two": "*@example.nl a\n* b\n",
    "/etc/hosts": "127.0.0.1\nlocalhost # us\n\n::1\n",
    "/etc/net": "10.0.0.0/8\n!10.0.0.0/9\nmail.example.nl\n[192.0.2.7]\n127.0.0.1\n",
    "/etc/names": "X-One\nx-two  value\n",
    "/etc/macros": "daemon_name ORIGINATING|SUBMIT\n{auth_type}\n",
}


@pytest.mark.parametrize(
    ("line", "key", "value"),
    [
        ("AlwaysAddARHeader no", "ar_for_unsigned", False),
        ("alwaysaddarheader Y", "ar_for_unsigned", True),
        ("ClockDrift 60", "clock_drift", "60s"),
        ("MaximumSignaturesToVerify 5", "max_signatures", 5),
        ("MinimumKeyBits 0", "min_rsa_bits", 512),
        ("MinimumKeyBits 2048", "min_rsa_bits", 2048),
        ("MustBeSigned Subject,from", "must_be_signed", ["from", "subject"]),
        ("MustBeSigned /etc/names", "must_be_signed", ["from", "x-one", "x-two"]),
        ("On-BadSignature reject", "on_fail", "reject"),
        ("On-BadSignature d", "on_fail", "discard"),
        ("On-DNSError t", "on_temperror", "tempfail"),
        ("On-KeyNotFound q", "on_key_not_found", "quarantine"),
        ("On-NoSignature accept", "on_no_signature", "accept"),
        ("On-Security r", "on_security", "reject"),
        ("On-InternalError accept", "on_internal_error", "accept"),
        ("On-InternalError reject", "on_internal_error", "tempfail"),
        ("On-Default reject", "on_permerror", "reject"),
        ("On-Default reject\nOn-BadSignature accept", "on_fail", "accept"),
        ("On-Default reject\nOn-BadSignature accept", "on_security", "reject"),
        ("Quarantine yes", "on_fail", "quarantine"),
        ("Quarantine yes\nOn-BadSignature accept", "on_fail", "accept"),
        ("RequiredHeaders yes", "required_headers", "reject"),
        ("StrictHeaders yes", "required_headers", "policy"),
        ("StrictHeaders yes\nRequiredHeaders yes", "required_headers", "reject"),
        ("MaximumHeaders 100000", "limits", {"header_bytes": 100000}),
        ("PeerList csl:!192.0.2.1,192.0.2.9/24,.nl", "ignore_hosts", ["!192.0.2.1", "192.0.2.0/24", ".nl"]),
        ("InternalHosts 192.0.2.1", "verify_local", True),
        ("Socket local:/run/x\nUMask 007\nUserID a:b", "socket",
         {"address": "unix:/run/x", "mode": "0660", "group": "b"}),
        ("BaseDirectory /run\nSocket local:x", "socket", "unix:/run/x"),
        ("Socket inet:8891", "socket", "inet:8891@127.0.0.1"),
        ("Socket inet6:8891@[::1]", "socket", "inet6:8891@::1"),
    ],
)  # fmt: skip
def test_verifying(line: str, key: str, value: Plain) -> None:
    assert section(taken("opendkim", f"Mode v\n{SOCKET}{line}", FILES))[key] == value


@pytest.mark.parametrize(
    ("line", "key", "value"),
    [
        ("Canonicalization Relaxed/Simple", "canonicalization", "relaxed/simple"),
        ("Canonicalization simple", "canonicalization", "simple"),
        ("DontSignMailTo a@example.org,*@example.nl", "never_sign_to", ["a@example.org"]),
        ("MTA A,B", "sign_for", ["daemon_name=A", "daemon_name=B"]),
        ("MTA A\nMacroList i=1|2", "sign_for", ["daemon_name=A", "i=1", "i=2"]),
        ("MacroList csl:{auth_type},x", "sign_for", ["auth_type", "x"]),
        (
            "MacroList file:/etc/macros",
            "sign_for",
            ["daemon_name=ORIGINATING", "daemon_name=SUBMIT", "auth_type"],
        ),
        ("MinimumKeyBits 512", "min_rsa_bits", 1024),
        ("", "min_rsa_bits", 1024),
        ("On-SignatureError reject", "on_signing_error", "tempfail"),
        ("On-Default accept", "on_signing_error", "accept"),
        ("OversignHeaders From,Subject", "oversign", ["from", "subject"]),
        ("OversignHeaders *,+From", "oversign", ["from"]),
        ("RemoveOldSignatures yes", "remove_old_signatures", True),
        ("RequireSafeKeys no", "require_safe_keys", False),
        ("SenderHeaders Sender,From", "sender_headers", ["sender", "from"]),
        ("SignHeaders From,To", "headers", ["from", "to"]),
        ("SignHeaders From,To\nOmitHeaders To", "headers", ["from"]),
        ("SignatureTTL 3600", "signature_ttl", "3600s"),
        ("KeyTable file:/etc/k", "key_table", "/etc/k"),
    ],
)
def test_signing(line: str, key: str, value: Plain) -> None:
    tables = "KeyTable refile:/etc/k\nSigningTable refile:/etc/s\n"
    assert section(taken("opendkim", f"Mode s\n{SOCKET}{tables}{line}", FILES))[key] == value


def test_header_fields_can_be_added_to_the_default_and_taken_out() -> None:
    draft = taken("opendkim", "Mode s\nKeyList /etc/l\nSignHeaders *,+X-One,-Cc\nOmitHeaders *,+Subject,-Bcc")
    headers = section(draft)["headers"]
    assert isinstance(headers, list)
    assert "x-one" in headers
    assert "from" in headers
    assert not {"cc", "subject"} & set(headers)


@pytest.mark.parametrize(
    ("line", "key", "value"),
    [
        ("AuthservID Mail.Example.NL", "authserv_id", "mail.example.nl"),
        ("RemoveARFrom old.example.nl,.example.org", "authserv_aliases", ["old.example.nl"]),
        ("Nameservers 127.0.0.1, 192.0.2.1", "dns", {"nameservers": ["127.0.0.1", "192.0.2.1"]}),
        ("DNSTimeout 3", "dns", {"timeout": "3s"}),
        ("InternalHosts /etc/hosts", "trusted_networks", ["127.0.0.0/8", "::1"]),
        ("InternalHosts refile:/etc/net", "trusted_networks", ["10.128.0.0/9", "127.0.0.1", "192.0.2.7"]),
        ("InternalHosts 192.0.2.1", "trusted_networks", ["127.0.0.0/8", "::1", "192.0.2.1"]),
    ],
)
def test_what_is_common_to_all_daemons(line: str, key: str, value: Plain) -> None:
    assert taken("opendkim", f"Mode v\n{SOCKET}{line}", FILES).plain()[key] == value


def test_names_of_internal_hosts_are_named_with_their_line() -> None:
    draft = taken("opendkim", f"Mode v\n{SOCKET}InternalHosts /etc/net", FILES)
    assert [line[:14] for line in told(draft, Sort.FLAW)] == ["/etc/net:3: In"]


def test_one_instance_that_does_both_becomes_two_daemons() -> None:
    draft = taken(
        "opendkim", "Mode sv\nSocket local:/run/o/o.sock\nKeyTable /etc/k\nSigningTable /etc/s", FILES
    )
    assert section(draft, "dkim-verify")["socket"] == "unix:/run/o/o.sock"
    assert section(draft, "dkim-sign")["socket"] == "unix:/run/o/o-sign.sock"
    assert "smtpd_milters = unix:/run/o/o.sock, unix:/run/o/o-sign.sock" in told(draft, Sort.TO_DO)[0]


@pytest.mark.parametrize("mode", ["", "Mode sv\n"])
def test_without_a_key_it_only_verifies(mode: str) -> None:
    assert list(taken("opendkim", mode + SOCKET).daemons) == ["dkim-verify"]


def test_a_single_key() -> None:
    text = "Mode s\nSocket inet:1@::1\nDomain a.example,b.example\nSelector s\nKeyFile /etc/k.pem\nSubDomains yes"
    assert section(taken("opendkim", text))["keys"] == [
        {"domain": name, "selector": "s", "file": "/etc/k.pem", "subdomains": True}
        for name in ("a.example", "b.example")
    ]


def test_tables_count_and_a_single_key_does_not() -> None:
    text = "Mode s\nDomain a\nSelector s\nKeyFile /etc/k.pem\nKeyTable /etc/k\nSigningTable /etc/s"
    draft = taken("opendkim", text, FILES)
    assert "keys" not in section(draft)
    assert len([line for line in told(draft, Sort.SAME) if "KeyTable is given" in line]) == 3


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("SigningTable refile:/etc/two", True),
        ("SigningTable refile:/etc/two\nMultipleSignatures yes", False),
        ("SigningTable refile:/etc/s", False),
    ],
)
def test_several_signatures_where_there_was_one(lines: str, said: bool) -> None:
    draft = taken("opendkim", f"Mode s\nKeyTable /etc/k\n{lines}", FILES)
    assert any("MultipleSignatures" in line for line in told(draft, Sort.DIFFERENT)) is said


def test_the_guides_dkim_filter_and_its_file_in_etc_default() -> None:
    files = [
        ("/etc/dkim-filter.conf", "KeyList /etc/dkim-keys.conf"),
        ("/etc/default/dkim-filter", 'SOCKET="inet:54321@localhost"'),
    ]
    draft = take_over("opendkim", files, Host({}).read)
    assert section(draft, "dkim-verify")["socket"] == "inet:54321@localhost"
    assert section(draft, "dkim-sign") == {
        "socket": "inet:54322@localhost",
        "key_list": "/etc/dkim-keys.conf",
        "min_rsa_bits": 1024,
    }


def test_what_stands_in_etc_default_counts() -> None:
    defaults = "RUNDIR=/run/o\nSOCKET=local:$RUNDIR/s\nUSER=a\nGROUP=b\nEXTRAAFTER=\nDAEMON_OPTS='-l -W'"
    files = [("/etc/default/opendkim", defaults), ("/etc/opendkim.conf", f"Mode v\nUMask 007\n{SOCKET}")]
    draft = take_over("opendkim", files, Host({}).read)
    assert section(draft)["socket"] == {"address": "unix:/run/o/s", "mode": "0660", "group": "b"}
    assert "-W on the command line" in told(draft, Sort.FLAW)[0]


def test_two_of_a_kind_get_names_of_their_own() -> None:
    files = [
        ("/etc/a", "Mode v\nSocket inet:1@127.0.0.1\nAuthservID a"),
        ("/etc/b", "Mode v\nSocket inet:2@127.0.0.1\nAuthservID b"),
    ]
    draft = take_over("opendkim", files, Host({}).read)
    assert list(draft.daemons) == ["dkim-verify", "dkim-verify-2"]
    assert section(draft, "dkim-verify-2")["kind"] == "dkim-verify"
    assert draft.plain()["authserv_aliases"] == ["b"]


@pytest.mark.parametrize(
    ("line", "sort", "text"),
    [
        ("Canonicalisation relaxed", Sort.UNKNOWN, 'did you mean "Canonicalization"?'),
        ("Canonicalization relaxed/strange", Sort.FLAW, "canonicalization is left out"),
        ("On-BadSignature maybe", Sort.FLAW, '"maybe" is no action'),
        ("MaximumSignaturesToVerify 0", Sort.FLAW, "max_signatures is left out: expected a number of at least 1"),
        ("ClockDrift -1", Sort.FLAW, "is not a number"),
        ("Mode x", Sort.FLAW, "is not made of s and v"),
        ("SyslogSuccess perhaps", Sort.SAME, "every message has one line"),
        ("PeerList dsn:mysql://x", Sort.FLAW, "sets in dsn: are not supported"),
        ("PeerList /etc/nowhere", Sort.FLAW, "/etc/nowhere cannot be read"),
        ("UMask 9", Sort.FLAW, "is no umask"),
        ("Socket local:x", Sort.FLAW, '"x" is not a whole path'),
        ("SendReports yes", Sort.UNSUPPORTED, "RFC 6651"),
        ("SendReports no", Sort.SAME, "switched off"),
        ("PidFile /run/x", Sort.LEFT_OUT, "systemd"),
        ("DNSTimeout 0", Sort.UNSUPPORTED, "without end"),
        ("Syslog yes\nSyslog no", Sort.SAME, "given again in /etc/conf:4"),
    ],
)  # fmt: skip
def test_what_is_said_of_a_line(line: str, sort: Sort, text: str) -> None:
    tables = "KeyTable /etc/k\nSigningTable /etc/s"
    draft = taken("opendkim", f"{tables}\n{line}", FILES)
    assert any(text in each and each.startswith("/etc/conf:3") for each in told(draft, sort)), draft.remarks
