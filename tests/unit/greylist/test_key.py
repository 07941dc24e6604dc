"""What a delivery attempt is known by."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.greylisting.key import LONGEST, network, normalise_recipient, normalise_sender, spf_origin

SENDERS = [
    ("", "<>"),
    ("Alice@Example.ORG", "alice@example.org"),
    ("alice@example.org.", "alice@example.org"),
    ("alice+news@example.org", "alice@example.org"),
    ("+1234@example.org", "+#@example.org"),
    ("+tag@example.org", "+tag@example.org"),
    ("prvs=1234abcdef=alice@example.org", "alice@example.org"),
    ("PRVS=1234ABCDEF=Alice@example.org", "alice@example.org"),
    ("prvs=alice/1234abcdef@example.org", "alice@example.org"),
    ("btv1==1234abcdef==alice@example.org", "alice@example.org"),
    ("prvs=alice@example.org", "prvs=alice@example.org"),
    ("bounce-1234-567@list.example", "bounce-#-#@list.example"),
    ("bounce_99@list.example", "bounce_#@list.example"),
    ("user2024@example.org", "user2024@example.org"),
    ("12345@example.org", "#@example.org"),
    ("list-return-77-bob=example.net@list.example", "list-return-#-bob=example.net@list.example"),
    ("0100018f3a2b4c5d-9a8b7c6d-000000@ses.example", "#-#-#@ses.example"),
    ("deadbeef@example.org", "deadbeef@example.org"),
    ("SRS0=Ab/+=TT=example.org=alice@forwarder.example", "srs0=#=#=example.org=alice@forwarder.example"),
    (
        "SRS1=Xyz1=first.example==Ab12=TT=example.org=alice@second.example",
        "srs1=#=first.example==#=#=example.org=alice@second.example",
    ),
    ('"a+b c"@example.org', '"a+b c"@example.org'),
    ("alice", "alice"),
    ("alice@bücher.example", "alice@xn--bcher-kva.example"),
    ("a@b@example.org", "a@b@example.org"),
    ("al\x00ice@example.org", "al\\x00ice@example.org"),
    ("al\udcffice@example.org", "al\\xffice@example.org"),
]


@pytest.mark.parametrize(("sender", "normalised"), SENDERS)
def test_senders(sender: str, normalised: str) -> None:
    assert normalise_sender(sender) == normalised


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("192.0.2.77", "192.0.2.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.77", "192.0.2.0/24"),
        ("::1", "::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unknown", ""),
        ("", ""),
        ("192.0.2.0/24", ""),
    ],
)
def test_networks(address: str, expected: str) -> None:
    assert network(address, 24, 64) == expected


@pytest.mark.parametrize(
    ("address", "ipv4", "ipv6", "expected"),
    [
        ("192.0.2.77", 32, 64, "192.0.2.77/32"),
        ("192.0.2.77", 8, 64, "192.0.0.0/8"),
        ("2001:db8::77", 24, 128, "2001:db8::77/128"),
        ("2001:db8:ffff::77", 24, 32, "2001:db8::/32"),
    ],
)
def test_prefix_lengths(address: str, ipv4: int, ipv6: int, expected: str) -> None:
    assert network(address, ipv4, ipv6) == expected


def test_recipients_keep_their_extension() -> None:
    assert normalise_recipient("Bob+Shop@Example.NET") == "bob+shop@example.net"
    assert normalise_recipient("") == ""


def test_domains_of_spf() -> None:
    assert spf_origin("Example.ORG") == "spf:example.org"


def test_a_long_address_stays_apart_from_others() -> None:
    one, other = (normalise_sender("x" * 1000 + letter + "@example.org") for letter in "ab")
    assert one != other
    assert len(one) == len(other) == LONGEST


@given(st.text(max_size=2000) | st.binary(max_size=500).map(lambda b: b.decode("utf-8", "surrogateescape")))
@settings(max_examples=300)
def test_whatever_a_client_says_can_be_stored_and_shown(text: str) -> None:
    for key in (normalise_sender(text), normalise_recipient(text), normalise_sender(f"{text}@example.org")):
        assert key.isprintable()
        assert len(key) <= LONGEST
        key.encode("utf-8")


_WORD = st.text(alphabet="ghijklmnop", min_size=1, max_size=8)


@given(_WORD, st.integers(0, 10**12), st.integers(0, 10**12), _WORD)
def test_the_number_of_a_bounce_address_does_not_matter(word: str, one: int, other: int, rest: str) -> None:
    assert normalise_sender(f"{word}-{one}-{rest}@example.org") == normalise_sender(
        f"{word}-{other}-{rest}@example.org"
    )


@given(_WORD, st.text(alphabet="abc123.=-+", max_size=20), st.from_regex(r"\A[0-9]{4}[0-9a-f]{6}\Z"))
def test_extension_tag_and_case_do_not_matter(word: str, extension: str, tag: str) -> None:
    plain = normalise_sender(f"{word}@example.org")
    assert normalise_sender(f"{word}+{extension}@example.org") == plain
    assert normalise_sender(f"prvs={tag}={word}@example.org") == plain
    assert normalise_sender(f"{word.upper()}@EXAMPLE.org") == plain
