"""A seal opens for what was sealed, in time, and for nothing else."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatepost.authres.read import read
from gatepost.authres.result import Property, Result
from gatepost.authres.seal import MAX_LENGTH, SPREAD, Sealer, message_subject, spf_subject, without_seal
from gatepost.authres.strip import Ids, claims
from gatepost.authres.write import format_value
from gatepost.message import HeaderField

NOW = 1_700_000_000.0
SEALER = Sealer(b"s" * 32, 3600.0)
VALUE = format_value(
    "mail.example.nl",
    [
        Result("dkim", "pass", (Property("header", "d", "example.com"), Property("header", "b", "AbC/dEf+"))),
        Result(
            "dkim",
            "fail",
            (Property("header", "d", "example.org"),),
            reason="bad signature",
            comment="key: 2048",
        ),
    ],
)
SUBJECT = message_subject([HeaderField(b"From", b" a@example.com")])
SEALED = SEALER.seal(VALUE, SUBJECT, NOW)


def test_form() -> None:
    assert re.fullmatch(re.escape(VALUE) + r"\n\t\(gatepost-seal v1 t=1700000000 m=[\w-]{22}\)", SEALED)
    short = SEALER.seal("mail.example.nl; none", SUBJECT, NOW)
    assert re.fullmatch(r"mail\.example\.nl; none \(gatepost-seal v1 t=1700000000 m=[\w-]{22}\)", short)


def test_opens() -> None:
    assert SEALER.opened(SEALED.encode(), SUBJECT, NOW)


def test_readers_see_a_comment() -> None:
    assert read(SEALED.encode()) == read(VALUE.encode())
    assert claims(SEALED.encode(), Ids("mail.example.nl"))


@pytest.mark.parametrize(
    "refold",
    [
        lambda value: b" " + value,
        lambda value: value + b"\r\n",
        lambda value: value.replace(b"\n\t", b" "),
        lambda value: value.replace(b"\n\t", b"\r\n        "),
        lambda value: value.replace(b" ", b"\n "),
        lambda value: value.replace(b" ", b"\t \r\n\t"),
    ],
)
def test_survives_refolding(refold: object) -> None:
    assert callable(refold)
    assert SEALER.opened(refold(SEALED.encode()), SUBJECT, NOW)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("example.com", "example.net"),
        ("fail", "pass"),
        ("mail.example.nl;", "other.example.nl;"),
        (";\n\tdkim=fail", ";\n\tdmarc=pass; dkim=fail"),
        ("t=1700000000", "t=1700000001"),
        ("v1", "v2"),
        ("m=", "m=A"),
        ("m=", "x="),
        ("(gatepost-seal", "(Gatepost-Seal"),
        ("(gatepost-seal", "((gatepost-seal"),
        ("bad signature", "badsignature"),
        ("\n\t(gatepost", "; dmarc=pass (gatepost"),
    ],
)
def test_any_change_spoils_it(old: str, new: str) -> None:
    changed = SEALED.replace(old, new)
    assert changed != SEALED
    assert not SEALER.opened(changed.encode(), SUBJECT, NOW)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"(gatepost-seal",
        VALUE.encode(),
        SEALED.encode() + b"; dmarc=pass",
        SEALED.encode() + b" (x)",
        SEALED.encode() + b" (gatepost-seal v1 t=1700000000 m=AAAAAAAAAAAAAAAAAAAAAA)",
        SEALED.encode()[:-1],
        SEALED.encode() + b"\0",
        SEALED.encode() + b" " * MAX_LENGTH,
        b"x" * (MAX_LENGTH + 1),
        b"\xff" + SEALED.encode(),
        b"(gatepost-seal" * 4000,
    ],
)
def test_what_is_not_sealed(value: bytes) -> None:
    assert not SEALER.opened(value, SUBJECT, NOW)


@pytest.mark.parametrize(
    ("age", "good"),
    [
        (0, True),
        (3600, True),
        (3601, False),
        (1e9, False),
        (-SPREAD, True),
        (-SPREAD - 1, False),
        (-1e9, False),
    ],
)
def test_validity(age: float, good: bool) -> None:
    assert SEALER.opened(SEALED.encode(), SUBJECT, NOW + age) is good


def test_another_secret_or_subject_does_not_open_it() -> None:
    assert not Sealer(b"t" * 32, 3600.0).opened(SEALED.encode(), SUBJECT, NOW)
    assert not SEALER.opened(SEALED.encode(), SUBJECT + b"\0", NOW)
    assert not SEALER.opened(SEALED.encode(), spf_subject("192.0.2.1", b"", b""), NOW)


@pytest.mark.parametrize(
    ("value", "without"),
    [
        (SEALED.encode(), VALUE.encode()),
        (VALUE.encode(), VALUE.encode()),
        (SEALER.seal(SEALED, SUBJECT, NOW).encode(), VALUE.encode()),
        (b"a; none (gatepost-seal v1 t=1 m=x) ; b", b"a; none ; b"),
        (b"a; none ( gatepost-seal\n v1)", b"a; none"),
        (b"a; none (GATEPOST-SEAL v9 whatever)", b"a; none"),
        (b"a; none (x (gatepost-seal v1) y)", b"a; none (x y)"),
        (b"a; none (gatepost-sealed)", b"a; none (gatepost-sealed)"),
        (b"a; none (gatepost-seal v1", b"a; none (gatepost-seal v1"),
        (b"a; none (\\(gatepost-seal v1\\))", b"a; none (\\(gatepost-seal v1\\))"),
    ],
)
def test_without_seal(value: bytes, without: bytes) -> None:
    assert without_seal(value) == without


def test_a_stranger_cannot_write_a_seal_through_us() -> None:
    stolen = SEALED.rpartition("\n\t")[2]
    value = format_value(
        "mail.example.nl", [Result("spf", "pass", (Property("smtp", "helo", stolen),), stolen, stolen)]
    )
    sealed = SEALER.seal(value, SUBJECT, NOW).encode()
    assert not SEALER.opened(value.encode(), SUBJECT, NOW)
    assert SEALER.opened(sealed, SUBJECT, NOW)
    assert len(read(without_seal(sealed)).results) == 1


def headers(*fields: tuple[bytes, bytes]) -> list[HeaderField]:
    return [HeaderField(name, value) for name, value in fields]


FROM, DATE, ID = (
    (b"From", b" a@b.nl"),
    (b"Date", b" Mon, 6 Jan 2025 10:00:00 +0100"),
    (b"Message-ID", b" <1@b.nl>"),
)


@pytest.mark.parametrize(
    "other",
    [
        headers(DATE, ID, FROM),
        headers((b"Received", b" x"), FROM, (b"X-Spam", b" y"), DATE, ID),
        headers(
            (b"FROM", b"a@b.nl"),
            (b"date", b" Mon, 6 Jan\r\n 2025  10:00:00 +0100"),
            (b"message-id", b"<1@b.nl> "),
        ),
        headers((b"From ", b" a@b.nl"), DATE, ID),
    ],
)
def test_the_same_message(other: list[HeaderField]) -> None:
    assert message_subject(other) == message_subject(headers(FROM, DATE, ID))


def test_messages_differ() -> None:
    messages = [
        headers(),
        headers(FROM, DATE, ID),
        headers(FROM, DATE),
        headers(FROM, ID),
        headers(FROM, FROM, DATE, ID),
        headers(FROM, DATE, ID, ID),
        headers(FROM, (b"Date", b" <1@b.nl>"), (b"Message-ID", DATE[1])),
        headers((b"From", b""), DATE, ID),
        headers((b"From", b" a@b.nlMon,"), (b"Date", DATE[1][5:]), ID),
        headers((b"From", b" A@b.nl"), DATE, ID),
        headers((b"From", b" c@b.nl"), FROM, DATE, ID),
        headers(FROM, (b"From", b" c@b.nl"), DATE, ID),
    ]
    assert len({message_subject(message) for message in messages}) == len(messages)


def test_spf_subjects_differ_where_they_should() -> None:
    base = spf_subject("192.0.2.1", b"mx.example.com", b"a@example.com")
    for same in (
        spf_subject("::ffff:192.0.2.1", b"mx.example.com", b"a@example.com"),
        spf_subject("192.0.2.1", b"MX.example.com", b"a@example.com"),
    ):
        assert same == base
    assert spf_subject("2001:DB8:0::1", b"", b"") == spf_subject("2001:db8::1", b"", b"")
    others = {
        spf_subject("192.0.2.2", b"mx.example.com", b"a@example.com"),
        spf_subject("192.0.2.1", b"mx.example.co", b"ma@example.com"),
        spf_subject("192.0.2.1", b"mx.example.com", b"A@example.com"),
        spf_subject("192.0.2.1", b"mx.example.com", b""),
        spf_subject("192.0.2.1", b"", b"a@example.com"),
        spf_subject("unknown", b"mx.example.com", b"a@example.com"),
        spf_subject("\udcff", b"mx.example.com", b"a@example.com"),
    }
    assert len(others) == 7
    assert base not in others


@given(st.binary(max_size=120), st.binary(max_size=20))
@settings(max_examples=150)
def test_raises_nothing(value: bytes, subject: bytes) -> None:
    assert not SEALER.opened(value, subject, NOW)
    assert not SEALER.opened(value + b"(gatepost-seal v1 t=1700000000 m=" + b"A" * 22 + b")", subject, NOW)
    assert len(without_seal(value)) <= len(value)


@given(st.text('ab ;=\t\n()"\\é', max_size=60), st.binary(max_size=20), st.floats(0, 2e9))
@settings(max_examples=150)
def test_round_trip(value: str, subject: bytes, now: float) -> None:
    sealed = SEALER.seal(value, subject, now).encode()
    assert SEALER.opened(sealed, subject, now)


def test_a_long_header_makes_no_long_subject() -> None:
    """Hundreds of seals may have to be tried on it."""
    long = [headers((b"From", b" " + b"x" * 100_000 + end), DATE, ID) for end in (b"a", b"b")]
    long += [headers(*[FROM] * 900), headers(*[FROM] * 901)]
    subjects = {message_subject(each) for each in long}
    assert len(subjects) == 4
    assert all(len(subject) < 100 for subject in subjects)


def test_a_seal_may_have_to_be_a_recent_one() -> None:
    assert SEALER.opened(SEALED.encode(), SUBJECT, NOW + 60, 60.0)
    assert not SEALER.opened(SEALED.encode(), SUBJECT, NOW + 61, 60.0)
    assert not SEALER.opened(SEALED.encode(), SUBJECT, NOW + 3601, 7200.0)
