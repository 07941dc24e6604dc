"""The SPF field states whom it speaks of, and is believed for nobody else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatepost.authres.border import FIELD_NAME, Border
from gatepost.authres.read import read
from gatepost.authres.result import Property, Result
from gatepost.authres.seal import Sealer, message_subject, spf_subject, without_seal
from gatepost.authres.spf_field import LONGEST_VALUE, STATEMENT, Stated, stated, write_spf_field
from gatepost.authres.strip import Ids
from gatepost.message import Envelope, HeaderField, Message
from gatepost.networks import Networks

ID = "mx.example.nl"
NOW = 1_700_000_000.0
SEALER = Sealer(bytes(32), 3600.0)
BORDER = Border(Ids(ID), SEALER, Networks([]))
BOB = Stated("192.0.2.10", b"mx.example.org", b"bob@example.org")


def results(told: Stated) -> list[Result]:
    return [
        Result("spf", "none", (Property("smtp", "helo", told.helo.decode("utf-8", "replace")),)),
        Result("spf", "pass", (Property("smtp", "mailfrom", told.mail_from.decode("utf-8", "replace")),)),
    ]


def written(told: Stated = BOB, sealer: Sealer = SEALER, now: float = NOW) -> bytes:
    value = write_spf_field(ID, results(told), told, sealer, now)
    assert value is not None
    return value.encode("ascii")


def test_form() -> None:
    assert (
        written().decode().partition(" (gatepost-seal ")[0]
        == "mx.example.nl; spf=none smtp.helo=mx.example.org; spf=pass smtp.mailfrom=bob@example.org"
        " (gatepost-spf v1 ip=192.0.2.10 helo=mx.example.org from=bob@example.org)"
    )


def test_a_mailbox_gets_the_results_alone() -> None:
    assert (
        without_seal(written())
        == b"mx.example.nl; spf=none smtp.helo=mx.example.org; spf=pass smtp.mailfrom=bob@example.org"
    )


HOSTILE = [
    b"",
    b"<>",
    b"a b@example.org",
    b'"a b"@example.org',
    b'"\\"x\\""@example.org',
    b"x) (gatepost-spf v1 ip=1.2.3.4 helo=y from=z@bank.example) (gatepost-seal v1 t=1 m=" + b"A" * 22 + b")",
    b"(gatepost-spf v1 ip=1.2.3.4 helo=y from=z@bank.example)",
    b"%28%29%",
    b"a%b+c=d;e,f@example.org",
    b"a\r\nX: y",
    b"\x00\xff\xfe@example.org",
    "ü@bücher.example".encode(),
    b"=?utf-8?q?x?=@example.org",
    b"; dmarc=pass header.from=bank.example",
    b"a" * 250 + b"@example.org",
]


@pytest.mark.parametrize("helo", HOSTILE)
@pytest.mark.parametrize("mail_from", HOSTILE)
def test_round_trip(helo: bytes, mail_from: bytes) -> None:
    told = Stated("2001:db8::1", helo, mail_from)
    value = write_spf_field(ID, results(told), told, SEALER, NOW)
    if value is None:
        assert len(helo) + len(mail_from) > 250
        return
    octets = value.encode("ascii")
    assert len(octets) <= LONGEST_VALUE
    assert stated(octets) == told
    assert told.subject == spf_subject("2001:db8::1", helo, mail_from)
    assert SEALER.opened(octets, told.subject, NOW)
    assert [result.method for result in read(octets).results] == ["spf", "spf"]
    assert judged(octets, inside=True, mail_from=mail_from) is True
    assert judged(octets, inside=False, address="2001:db8::1", helo=helo, mail_from=mail_from) is True


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=80), st.binary(max_size=80), st.binary(max_size=80))
def test_round_trip_of_anything(helo: bytes, mail_from: bytes, other: bytes) -> None:
    told = Stated("192.0.2.10", helo, mail_from)
    octets = written(told)
    assert stated(octets) == told
    assert judged(octets, inside=True, mail_from=mail_from) is True
    assert judged(octets, inside=True, mail_from=other) is told.speaks_of(other)


def judged(value: bytes, *, inside: bool, now: float = NOW, **envelope: Any) -> bool | None:
    """Whether a message's one field is believed; None where it does not claim to be ours."""
    sender = Envelope(
        client_address=envelope.get("address", "127.0.0.1" if inside else "192.0.2.10"),
        helo=envelope.get("helo", b"localhost" if inside else b"mx.example.org"),
        mail_from=envelope.get("mail_from", b"bob@example.org"),
    )
    headers = [HeaderField(FIELD_NAME, b" " + value), HeaderField(b"From", b" bob@example.org")]
    claims = BORDER.claims(Message(sender, headers), inside, now)
    return claims[0].believed if claims else None


@pytest.mark.parametrize(
    ("inside", "envelope", "believed"),
    [
        (False, {}, True),
        (False, {"helo": b"MX.Example.ORG"}, True),
        (False, {"address": "::ffff:192.0.2.10"}, True),
        (False, {"address": "192.0.2.11"}, False),
        (False, {"helo": b"mx.example.com"}, False),
        (False, {"mail_from": b"eve@example.org"}, False),
        (False, {"mail_from": b""}, False),
        (False, {"now": NOW + 3601}, False),
        (False, {"now": NOW - 301}, False),
        (True, {}, True),
        (True, {"address": "10.0.0.1", "helo": b"filter"}, True),
        (True, {"mail_from": b'"bob"@example.org'}, True),
        (True, {"mail_from": b"eve@example.org"}, False),
        (True, {"mail_from": b"bob@example.ORG"}, False),
        (True, {"mail_from": b""}, False),
        (True, {"now": NOW + 3600}, True),
        (True, {"now": NOW + 3601}, False),
    ],
)
def test_whom_it_is_believed_for(inside: bool, envelope: dict[str, Any], believed: bool) -> None:
    assert judged(written(), inside=inside, **envelope) is believed


def test_the_null_sender_behind_a_filter() -> None:
    value = written(Stated("192.0.2.10", b"mx.example.org", b""))
    assert judged(value, inside=True, mail_from=b"") is True
    assert judged(value, inside=True, mail_from=b"bob@example.org") is False


SEAL = written()[written().index(b"(gatepost-seal") :]


@pytest.mark.parametrize(
    "forged",
    [
        written(sealer=Sealer(b"x" * 32, 3600.0)),
        written().replace(b"spf=none", b"spf=pass"),
        written().replace(b"192.0.2.10", b"192.0.2.11"),
        written().replace(b"bob@", b"eve@"),
        written(Stated("192.0.2.10", b"mx.example.org", b"eve@example.org")).replace(b"eve@", b"bob@"),
        written().replace(SEAL, b""),
        written().replace(SEAL, b"(gatepost-spf v1 ip=192.0.2.10 helo=mx.example.org from=bob@example.org) " + SEAL),
        written().replace(SEAL, b"x " + SEAL),
        written() + b" (gatepost-spf v1 ip=192.0.2.10 helo=mx.example.org from=bob@example.org)",
        written() + b"; dmarc=pass header.from=example.org",
        written() + b" " + SEAL,
        b"mx.example.nl; dmarc=pass " + written()[written().index(b"(gatepost-spf") :],
        # A field of another kind does not become one of SPF, whatever is written into it.
        SEALER.seal(
            "mx.example.nl; dkim=fail (gatepost-spf v1 ip=192.0.2.10 helo=x from=bob@example.org)",
            message_subject([HeaderField(b"From", b" eve@example.org")]),
            NOW,
        ).encode(),
    ],
)  # fmt: skip
@pytest.mark.parametrize("inside", [True, False])
def test_forgeries(forged: bytes, inside: bool) -> None:
    assert judged(forged, inside=inside) is False


@pytest.mark.parametrize(
    "refold",
    [
        lambda value: value.replace(b" ", b"\n\t"),
        lambda value: value.replace(b" ", b"\r\n "),
        lambda value: value.replace(b" ", b"  \t"),
        lambda value: b" " + value + b"\r\n",
    ],
)
@pytest.mark.parametrize("inside", [True, False])
def test_a_filter_may_fold_it_again(refold: Any, inside: bool) -> None:
    assert judged(refold(written()), inside=inside) is True


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_stated_never_raises(noise: bytes) -> None:
    for value in (noise, b"(gatepost-spf" + noise, written() + noise, noise.join(written().split(b" "))):
        found = stated(value)
        assert found is None or (STATEMENT in value and found.subject)


def test_what_cannot_be_told_on_one_line_is_not_written() -> None:
    short = Stated("192.0.2.10", b"h" * 200, b"m" * 100 + b"@example.org")
    shortened = written(short)
    assert b"smtp.mailfrom=example.org" in shortened or b"m@example.org" in shortened
    assert stated(shortened) == short
    long = Stated("192.0.2.10", b"h" * 255, b"m" * 700 + b"@example.org")
    assert write_spf_field(ID, results(long), long, SEALER, NOW) is None
