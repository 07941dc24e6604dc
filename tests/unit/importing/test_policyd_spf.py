"""policyd-spf's options as ours."""

from __future__ import annotations

import pytest

from gatepost.importing.draft import Plain, Sort
from tests.unit.importing.support import section, taken, told

FILES = {
    "/etc/users": "# c\nstrict@example.nl,PermError_reject=True|HELO_reject=SPF_Not_Pass|TempError_Defer=True\n"
    "a@example.nl,Mail_From_reject=No_Check|TestOnly=0|skip_addresses=10.0.0.0/8|Mail_Form=x\n"
    "^.*@example\\.org$,PermError_reject=True\n"
}


@pytest.mark.parametrize(
    ("line", "key", "value"),
    [
        ("HELO_reject = SPF_Not_Pass", "helo_reject", "not_pass"),
        ("HELO_reject = Null", "helo_reject", "null_sender"),
        ("HELO_reject=False", "helo_reject", "never"),
        ("Mail_From_reject = Softfail", "mail_from_reject", "softfail"),
        ("Mail_From_reject = No_Check", "mail_from_reject", "no_check"),
        ("No_Mail = True", "reject_only_no_mail", True),
        ("PermError_reject = True", "permerror_reject", True),
        ("TempError_Defer = False", "temperror_defer", False),
        ("TestOnly = 0", "dry_run", True),
        ("TestOnly = 1", "dry_run", False),
        ("defaultSeedOnly = 0", "dry_run", True),
        ("skip_addresses = 127.0.0.0/8,::ffff:127.0.0.0/104,::1", "skip_addresses", ["127.0.0.0/8", "::1"]),
        ("Whitelist = 203.0.113.10/32,2001:db8::1/64", "allow", {"addresses": ["203.0.113.10", "2001:db8::/64"]}),
        ("HELO_Whitelist = a.example\nDomain_Whitelist = b.example,c.example\nDomain_Whitelist_PTR = d.example",
         "allow", {"helo": ["a.example"], "domains": ["b.example", "c.example"], "ptr": ["d.example"]}),
        ("Header_Type = AR", "header", "a-r"),
        ("Header_Type = None", "header", "none"),
        ("Hide_Receiver = Yes", "hide_receiver", True),
        ("Reason_Message = Message {rejectdefer} due to: {spf}.", "reason", "Message rejected due to: SPF {result}."),
        ("Per_User = text,/etc/users", "overrides",
         {"strict@example.nl": {"permerror_reject": True, "helo_reject": "not_pass", "temperror_defer": True},
          "a@example.nl": {"mail_from_reject": "no_check", "dry_run": True}}),
    ],
)  # fmt: skip
def test_options(line: str, key: str, value: Plain) -> None:
    assert section(taken("policyd-spf", line, FILES))[key] == value


def test_what_is_common_to_all_daemons() -> None:
    common = taken("policyd-spf", "Authserv_Id = Mail.example.nl\nLookup_Time = 10").plain()
    assert common["authserv_id"] == "mail.example.nl"
    assert common["dns"] == {"message_timeout": "10s"}


@pytest.mark.parametrize(
    ("line", "sort", "text"),
    [
        ("helo_reject = Fail", Sort.UNKNOWN, 'did you mean "HELO_reject"?'),
        ("HELO_reject = Maybe", Sort.FLAW, "none of the words"),
        ("Mail_From_reject = Null", Sort.FLAW, "mail_from_reject is left out"),
        ("TestOnly = 0", Sort.TO_DO, "write dry_run: no"),
        ("Reason_Message = {nonsense}", Sort.FLAW, "nonsense"),
        ("Whitelist = example.org", Sort.FLAW, '"example.org" is no address or network'),
        ("Header_Type = SPF", Sort.DIFFERENT, "header: a-r"),
        ("Per_User = ldap,x", Sort.FLAW, "text,/path"),
        ("Per_User = text,/etc/users", Sort.UNKNOWN, "/etc/users:3: Mail_Form"),
        ("Per_User = text,/etc/users", Sort.UNSUPPORTED, "skip_addresses is the same for all"),
        ("Per_User = text,/etc/users", Sort.UNSUPPORTED, "/etc/users:4"),
        ("Void_Limit = 2", Sort.SAME, "RFC 7208"),
        ("Mock", Sort.FLAW, "name = value"),
    ],
)
def test_what_is_said_of_a_line(line: str, sort: Sort, text: str) -> None:
    assert any(text in each for each in told(taken("policyd-spf", line, FILES), sort))
