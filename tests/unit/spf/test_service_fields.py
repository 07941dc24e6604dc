"""The header fields of the SPF service: what stands in them, and that no client can write one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatepost.authres.read import read
from gatepost.authres.seal import spf_subject
from gatepost.authres.spf_field import stated
from policy.protocol import write_action
from tests.unit.spf.support import NOW, SEALER, ZONE, Service, helo, sender


def field(action: str) -> str:
    name, value = action.removeprefix("PREPEND ").split(": ", 1)
    assert name == "Authentication-Results"
    return value


def results(value: str) -> list[tuple[str, dict[str, str]]]:
    return [
        (result.result, {f"{each.ptype}.{each.name}": each.value for each in result.properties})
        for result in read(value.encode()).results
    ]


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        (
            sender("pass") | helo("softfail"),
            [
                ("softfail", {"smtp.helo": "softfail.example"}),
                ("pass", {"smtp.mailfrom": "bob@pass.example"}),
            ],
        ),
        ({"sender": "", "helo_name": "pass.example"}, [("pass", {"smtp.helo": "pass.example"})]),
        (
            {"sender": "a=b@pass.example", "helo_name": "[192.0.2.1]"},
            [("none", {"smtp.helo": "[192.0.2.1]"}), ("pass", {"smtp.mailfrom": "pass.example"})],
        ),
        (
            {"sender": 'a" ; dmarc=pass@pass.example', "helo_name": "x; dkim=pass header.d=y"},
            [
                ("none", {"smtp.helo": "x; dkim=pass header.d=y"}),
                ("pass", {"smtp.mailfrom": "pass.example"}),
            ],
        ),
        (
            {"sender": "b@P\u00c4SS.example", "helo_name": "pass.example"},
            [("pass", {"smtp.helo": "pass.example"}), ("none", {"smtp.mailfrom": "b@xn--pss-qla.example"})],
        ),
        # Without the property nobody would know whom the result is about, and an aligned pass would be lost.
        (
            {"sender": "j\u00f6rg@pass.example", "helo_name": "pass.example"},
            [("pass", {"smtp.helo": "pass.example"}), ("pass", {"smtp.mailfrom": "pass.example"})],
        ),
        (
            {"sender": "\udcff@pass.example", "helo_name": "pass.example"},
            [("pass", {"smtp.helo": "pass.example"}), ("pass", {"smtp.mailfrom": "pass.example"})],
        ),
        (
            {"sender": "=?x?q?y@pass.example", "helo_name": "pass.example"},
            [("pass", {"smtp.helo": "pass.example"}), ("pass", {"smtp.mailfrom": "pass.example"})],
        ),
    ],
)
def test_the_field(attributes: dict[str, str], expected: list[tuple[str, dict[str, str]]]) -> None:
    value = field(Service(mail_from_reject="never").ask(**attributes))
    assert results(value) == expected


def test_the_field_is_sealed() -> None:
    value = field(Service().ask(sender="bob@pass.example", helo_name="Client.example"))
    subject = spf_subject("192.0.2.10", b"client.example", b"bob@pass.example")
    assert SEALER.opened(value.encode(), subject, NOW + 60)
    told = stated(value.encode())
    assert told is not None
    assert told.subject == subject


@settings(max_examples=200, deadline=None)
@given(
    st.text(max_size=1200),
    st.text(max_size=1200),
    st.sampled_from(["192.0.2.10", "2001:db8::1", "", "x", "fe80::1%eth0"]),
    st.sampled_from(["a-r", "received-spf", "both"]),
    st.booleans(),
)
def test_whatever_a_client_says_is_one_action(
    sender: str, helo: str, client: str, header: str, reject: bool
) -> None:
    service = Service(
        header=header, mail_from_reject="not_pass" if reject else "never", permerror_reject=reject
    )
    sender = sender + "@softfail.example" if len(sender) % 2 else sender
    for _ in range(3):
        action = service.ask(sender=sender, helo_name=helo, client_address=client, instance="1")
        written = write_action(action)
        assert written == f"action={action}\n\n".encode()
        assert len(written) <= len("action=\n\n") + 998
        if action.startswith("PREPEND Authentication-Results"):
            value = field(action)
            told = stated(value.encode())
            assert told is not None
            assert SEALER.opened(value.encode(), told.subject, NOW)
            assert told.speaks_of(sender.encode("utf-8", "surrogateescape"))
            assert {result.method for result in read(value.encode()).results} == {"spf"}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            {},
            'pass (mx.example.nl: pass.example lets 192.0.2.10 send its mail) client-ip=192.0.2.10;'
            ' envelope-from="bob@pass.example"; helo=client.none.example; identity=mailfrom;'
            ' receiver=mx.example.nl; mechanism="ip4:192.0.2.0/24"',
        ),
        (
            {"hide_receiver": True},
            'pass (pass.example lets 192.0.2.10 send its mail) client-ip=192.0.2.10;'
            ' envelope-from="bob@pass.example"; helo=client.none.example; identity=mailfrom;'
            ' mechanism="ip4:192.0.2.0/24"',
        ),
    ],
)  # fmt: skip
def test_received_spf(options: dict[str, Any], expected: str) -> None:
    action = Service(header="received-spf", **options).ask(**sender("pass"))
    assert action == f"PREPEND Received-SPF: {expected}"


@pytest.mark.parametrize(
    "attributes",
    [
        {"helo_name": "?utf-8?q?x?="},
        {"sender": "?utf-8?q?x?=@pass.example"},
        {"sender": "=?utf-8?q?x?=@pass.example"},
        {"sender": "x@encoded.example"},
        {"helo_name": "==?utf-8?q?x?="},
    ],
)
@pytest.mark.parametrize("header", ["received-spf", "a-r"])
def test_no_encoded_word_arises(attributes: dict[str, str], header: str) -> None:
    zone = {**ZONE, "encoded.example": [{"TXT": "v=spf1 ==?utf-8?q?x?="}]}
    action = Service(zone, header=header).ask(**{**sender("pass"), **attributes})
    assert action.startswith("PREPEND ")
    assert "=?" not in action
