"""The SPF service in the three layouts: refused in the session, and its field on top of what is delivered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from gatepost.authres.read import read
from tests.harness.daemon import Installation
from tests.harness.delivery import compose
from tests.harness.dns_server import DnsServer
from tests.harness.layouts import Layout, layout_a, layout_b, layout_c
from tests.harness.smtp import Client, RefusedError

ANNA, BERT = "anna@example.nl", "bert@example.nl"
FRIEND = Client("192.0.2.10", "mx.example.org", "mx.example.org")
STRANGER = Client("198.51.100.1", "", "mx.example.org")

ZONE: Mapping[str, Any] = {
    "example.org": [{"TXT": "v=spf1 ip4:192.0.2.10 -all exp=why.example.org"}],
    "why.example.org": [{"TXT": "%{i} is not one of ours"}],
    "mx.example.org": [{"TXT": "v=spf1 ip4:192.0.2.10 ?all"}],
    "none-of-it.example.org": [{"TXT": "v=spf1 -all"}],
    "ill.example.org": ["SERVFAIL"],
}


def arranged(kind: str, policy: str, verify: str, stamp: str) -> Layout:
    """The layout with the daemons where its documentation puts them."""
    if kind == "A":
        return layout_a(policy=[policy], border=[verify], inward=[verify, stamp])
    if kind == "B":
        return layout_b(policy=[policy], inward=[verify, stamp])
    return layout_c(policy=[policy], milters=[verify, stamp])


@pytest.fixture(scope="module", params=["A", "B", "C"])
def layout(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Layout]:
    sections: Mapping[str, Any] = {
        "spf": {"temperror_defer": True},
        "dkim-verify": {"verify_local": request.param == "B"},
        "dmarc-stamp": {"kind": "dmarc", "mode": "stamp"},
    }
    with (
        DnsServer(ZONE) as dns,
        Installation(
            tmp_path_factory.mktemp("site"), sections, {"dns": {"nameservers": [dns.address]}}
        ) as gatepost,
        arranged(request.param, *(gatepost[name].milter for name in sections)) as layout,
    ):
        yield layout


def message(name: str) -> bytes:
    return compose(
        [
            ("From", "bob@example.org"),
            ("To", ANNA),
            ("Subject", "A word"),
            ("Message-ID", f"<{name}@example.org>"),
            ("Date", "Sat, 21 Nov 2026 10:00:00 +0000"),
        ]
    )


def spf_of(layout: Layout, recipient: str) -> list[tuple[str, dict[str, str]]]:
    """The SPF results with which the mail to *recipient* arrives."""
    [delivery] = layout.postfix.wait_for_delivery(recipient)
    fields = delivery.values("Authentication-Results")
    assert "gatepost" not in "".join(fields)
    return [
        (result.result, {each.name: each.value for each in result.properties})
        for field in fields
        for result in read(field.encode()).results
        if result.method == "spf"
    ]


@pytest.mark.parametrize(
    ("name", "sender", "results"),
    [
        (
            "plain",
            "bob@example.org",
            [("pass", {"helo": "mx.example.org"}), ("pass", {"mailfrom": "bob@example.org"})],
        ),
        (
            "quoted",
            '"b o b"@example.org',
            [("pass", {"helo": "mx.example.org"}), ("pass", {"mailfrom": "b o b@example.org"})],
        ),
        ("null", "", [("pass", {"helo": "mx.example.org"})]),
    ],
)
def test_the_field_arrives(
    layout: Layout, name: str, sender: str, results: list[tuple[str, dict[str, str]]]
) -> None:
    recipients = [f"{name}.{number}@example.nl" for number in range(3)]
    layout.receive(message(name), sender, recipients, client=FRIEND)
    for recipient in recipients:
        assert spf_of(layout, recipient) == results


@pytest.mark.parametrize("count", [1, 2, 50])
def test_one_field_whatever_the_number_of_recipients(layout: Layout, count: int) -> None:
    recipients = [f"one.of.{count}.{number}@example.nl" for number in range(count)]
    layout.receive(message(f"to-{count}"), "bob@example.org", recipients, client=FRIEND)
    for recipient in recipients:
        [delivery] = layout.postfix.wait_for_delivery(recipient)
        assert "".join(delivery.values("Authentication-Results")).count("spf=pass smtp.mailfrom=") == 1


@pytest.mark.parametrize("sender", ["bob@example.org", ""])
def test_a_failure_of_helo_is_refused(layout: Layout, sender: str) -> None:
    liar = Client("192.0.2.10", "mx.example.org", "none-of-it.example.org")
    with pytest.raises(RefusedError) as refused:
        layout.receive(message("helo"), sender, [BERT], client=liar)
    assert refused.value.stage.startswith("RCPT")
    assert refused.value.reply.code == 550
    assert "5.7.23" in refused.value.reply.text
    assert "SPF fail for HELO: none-of-it.example.org" in refused.value.reply.text


def test_a_sender_that_cannot_be_checked_now_is_put_off(layout: Layout) -> None:
    with pytest.raises(RefusedError) as refused:
        layout.receive(message("ill"), "bob@ill.example.org", [BERT], client=FRIEND)
    assert refused.value.stage.startswith("RCPT")
    assert refused.value.reply.code == 451
    assert "4.7.24" in refused.value.reply.text
    assert "SPF temperror for MAIL FROM" in refused.value.reply.text


def test_a_failure_is_refused_in_the_session(layout: Layout) -> None:
    with pytest.raises(RefusedError) as refused:
        layout.receive(message("refused"), "bob@example.org", [BERT], client=STRANGER)
    assert refused.value.stage.startswith("RCPT")
    assert refused.value.reply.code == 550
    assert "5.7.23" in refused.value.reply.text
    assert "example.org says: 198.51.100.1 is not one of ours" in refused.value.reply.text
