"""postgrey's command line as ours."""

from __future__ import annotations

import pytest

from gatepost.importing.draft import Plain, Sort
from tests.unit.importing.support import section, taken, told

FILES = {"/etc/postgrey/whitelist_clients": "", "/etc/a": "", "/etc/b": ""}


@pytest.mark.parametrize(
    ("options", "key", "value"),
    [
        ("--inet=10023", "socket", "inet:10023@127.0.0.1"),
        ("--inet 192.0.2.1:10023", "socket", "inet:10023@192.0.2.1"),
        ("-i 10023", "socket", "inet:10023@127.0.0.1"),
        ("-i10023 -d", "socket", "inet:10023@127.0.0.1"),
        ("", "socket", "inet:10023@127.0.0.1"),
        ("--unix=/run/p --socketmode=0660", "socket", {"address": "unix:/run/p", "mode": "0660"}),
        ("-u /run/p", "socket", {"address": "unix:/run/p", "mode": "0666"}),
        ("--delay=60", "delay", "60s"),
        ("--del 60", "delay", "60s"),
        ("--max-age=30", "max_age", "30d"),
        ("--retry-window=4", "retry_window", "4d"),
        ("--retry-window=36h", "retry_window", "36h"),
        ("--lookup-by-host", "ipv4_prefix", 32),
        ("--lookup-by-host --ipv6cidr=48", "ipv6_prefix", 128),
        ("--ipv4cidr=16", "ipv4_prefix", 16),
        ("--auto-whitelist-clients", "auto_allow", 5),
        ("--auto-whitelist-clients=0 --delay=1", "auto_allow", 0),
        ("--auto-whitelist-clients --delay=1", "delay", "1s"),
        ("--greylist-text='Wait %s for %r'", "text", "Wait {seconds} for {domain}"),
        ("", "allow", {"client_files": ["/etc/postgrey/whitelist_clients"]}),
        ("--whitelist-clients=/etc/a --whitelist-clients=/etc/b --whitelist-recipients=/etc/a", "allow",
         {"client_files": ["/etc/a", "/etc/b"], "recipient_files": ["/etc/a"]}),
    ],
)  # fmt: skip
def test_options(options: str, key: str, value: Plain) -> None:
    assert section(taken("postgrey", f'POSTGREY_OPTS="{options}"', FILES))[key] == value


def test_the_text_of_its_own_variable() -> None:
    draft = taken("postgrey", "POSTGREY_OPTS=\"--inet=10023\"\nPOSTGREY_TEXT='Come back in %s s'")
    assert section(draft)["text"] == "Come back in {seconds} s"


def test_options_that_are_added_to_others() -> None:
    text = 'POSTGREY_OPTS="--inet=10024"\nPOSTGREY_OPTS="$POSTGREY_OPTS --delay=9"'
    assert section(taken("postgrey", text)) == {"socket": "inet:10024@127.0.0.1", "delay": "9s"}


@pytest.mark.parametrize(
    ("options", "sort", "text"),
    [
        ("--greylist-action=451", Sort.UNSUPPORTED, "DEFER_IF_PERMIT"),
        ("--privacy", Sort.UNSUPPORTED, "max_age"),
        ("--dbdir=/x", Sort.LEFT_OUT, "not taken over"),
        ("--dealy=1", Sort.UNKNOWN, 'did you mean "delay"?'),
        ("--ipv4cidr=4", Sort.FLAW, "ipv4_prefix is left out: expected a number of at least 8"),
        ("--greylist-text={x}", Sort.FLAW, "braces"),
        ("--whitelist-clients=/nowhere", Sort.FLAW, "/nowhere cannot be read"),
        ("stray", Sort.FLAW, '"stray" is no option'),
        ("--inet=x", Sort.FLAW, "[HOST:]PORT"),
        ("-vq", Sort.LEFT_OUT, "quiet"),
    ],
)
def test_what_is_said_of_an_option(options: str, sort: Sort, text: str) -> None:
    assert any(text in each for each in told(taken("postgrey", f'POSTGREY_OPTS="{options}"'), sort))
