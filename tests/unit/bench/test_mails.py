"""The messages: as large as they say, as their kind has them, and with signatures that hold."""

from __future__ import annotations

import pytest

from bench import mails
from gatepost.message import HeaderField
from tests.harness.keys import passes, rsa_key
from tests.harness.mail import unparse

KEY = rsa_key("sender.example", bits=2048)


@pytest.mark.parametrize("kind", ["text", "html", "base64"])
@pytest.mark.parametrize("size", [4096, 300_000])
def test_bodies(kind: mails.Kind, size: int) -> None:
    body = mails.body(kind, size)
    assert len(body) == size
    assert body.endswith(b"\r\n")
    assert max(map(len, body.split(b"\r\n"))) < 200
    assert (b"  " in body) is (kind == "html")
    assert mails.body(kind, size) == body


@pytest.mark.parametrize("kind", ["text", "html", "base64"])
def test_signatures_hold(kind: mails.Kind) -> None:
    mail = mails.signed(KEY, KEY.domain, 7, kind)
    octets = unparse([HeaderField(*each) for each in mail.headers], mail.body)
    assert passes(octets, {KEY.name: KEY.record}) == [True]


def test_many_are_of_several_domains() -> None:
    other = rsa_key("other.example")
    found = mails.many([KEY, other], 3)
    assert [mail.mail_from.rpartition(b"@")[2] for mail in found] == [
        b"sender.example",
        b"other.example",
        b"sender.example",
    ]
    assert len({mail.queue_id for mail in found}) == 3
