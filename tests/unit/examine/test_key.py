"""A key against its record: each way in which they can differ, in words."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from gatepost.dkim.keys.source import NamedKey
from gatepost.dns.answer import Answer, Outcome
from gatepost.examine.item import Status
from gatepost.examine.key import judge, without_rsa
from tests.unit.dkim.support import ed25519_key, record, rsa_key

RSA, ED = rsa_key(), ed25519_key()
SHORT = rsa_key(1024)
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(32))


def named(key: RSAPrivateKey | Ed25519PrivateKey | None, problem: str = "") -> NamedKey:
    return NamedKey("example.nl", "mail", "/key", key, problem)


def found(*texts: bytes) -> Answer:
    return Answer(Outcome.FOUND, texts)


TABLE = [
    (RSA, found(record(RSA)), Status.OK, True, []),
    (ED, found(record(ED)), Status.OK, True, []),
    (RSA, found(record(RSA, "")), Status.OK, True, []),
    (None, found(record(RSA)), Status.OK, None, []),
    (RSA, Answer(Outcome.NXDOMAIN), Status.MISSING, None, ["there is no record"]),
    (RSA, Answer(Outcome.NODATA), Status.MISSING, None, ["there is no record: the name exists, and has no TXT"]),
    (RSA, Answer(Outcome.TIMEOUT), Status.UNKNOWN, None, ["the DNS did not tell: timeout"]),
    (RSA, Answer(Outcome.SERVFAIL, detail="bogus"), Status.UNKNOWN, None, ["the DNS did not tell: bogus"]),
    (RSA, found(b"v=DKIM1; p="), Status.DIFFERS, False, ["the key is revoked: p= is empty (RFC 6376 §3.6.1)"]),
    (ED, found(record(OTHER)), Status.DIFFERS, False, ["the record is of another key than the file: same kind"]),
    (
        ED,
        found(record(RSA)),
        Status.DIFFERS,
        False,
        ["the record is of another key: RSA, 2048 bits; the file holds Ed25519"],
    ),
    (
        RSA,
        found(record(RSA)[:255]),
        Status.DIFFERS,
        False,
        ["the record cannot be used: p= is ", f"p= is cut off: {255 - len(b'v=DKIM1; k=rsa; p=')} of its 392"],
    ),
    (
        ED,
        found(record(ED).replace(b"k=ed25519; ", b"")),
        Status.DIFFERS,
        False,
        ["the record cannot be used: p= is no RSA key", "p= is that of the key, but k= is missing or wrong"],
    ),
    (
        RSA,
        found(record(RSA, "v=DKIM1; h=sha1; ")),
        Status.DIFFERS,
        False,
        ["the record cannot be used: key not for SHA-256", "p= is that of the key, but the other tags"],
    ),
    (
        RSA,
        found(b'"' + record(RSA) + b'"'),
        Status.DIFFERS,
        False,
        ["the record cannot be used: "],
    ),
    (RSA, found(record(RSA), record(RSA, "")), Status.DIFFERS, True, ["2 records: a verifier may take any"]),
    (RSA, found(b"v=DKIM1; p=%"), Status.DIFFERS, False, ["the record cannot be used: p= is", "its p= is not that"]),
    (RSA, found(b"\x00"), Status.DIFFERS, False, ["the record cannot be used: control"]),
]  # fmt: skip


@pytest.mark.parametrize(("key", "answer", "status", "same", "problems"), TABLE)
def test_judge(
    key: RSAPrivateKey | Ed25519PrivateKey | None,
    answer: Answer,
    status: Status,
    same: bool | None,
    problems: list[str],
) -> None:
    report = judge(named(key), answer)
    assert (report.status, report.same) == (status, same)
    assert len(report.problems) == len(problems)
    assert all(text.startswith(start) for text, start in zip(report.problems, problems, strict=True))


def test_quotation_marks_are_explained() -> None:
    report = judge(named(RSA), found(b"v=DKIM1\\; k=rsa\\; p=abcd"))
    assert "belong into zone files alone" in report.problems[0]


def test_a_missing_final_dot_is_found() -> None:
    twice = "mail._domainkey.example.nl.example.nl"
    report = judge(named(RSA), Answer(Outcome.NXDOMAIN), misplaced=twice)
    assert report.problems == (
        f"there is no record; it stands at {twice}: in the zone file its name lacks the final dot",
    )


def test_warnings() -> None:
    assert judge(named(RSA), found(record(RSA))).warnings == ()
    [testing] = judge(named(RSA), found(record(RSA, "v=DKIM1; t=y; "))).warnings
    assert testing.startswith("t=y says that the key is in testing")
    [short] = judge(named(SHORT), found(record(SHORT))).warnings
    assert short.startswith("RSA of 1024 bits is short")


def test_what_is_known_is_told() -> None:
    report = judge(named(RSA), found(record(RSA, "v=DKIM1; t=y; ")), ttl=300.0)
    assert (report.name, report.description) == ("mail._domainkey.example.nl", "RSA, 2048 bits")
    assert (report.ttl, report.testing) == (300.0, True)
    assert report.wanted.encode() == record(RSA)
    assert judge(named(None, "/key is empty"), found(record(RSA))).problems == ("/key is empty",)


def test_domains_without_rsa() -> None:
    keys = [
        NamedKey("both.example", "a", "", ED),
        NamedKey("both.example", "b", "", RSA),
        NamedKey("modern.example", "a", "", ED),
        NamedKey("broken.example", "a", "", None),
    ]
    assert without_rsa(keys) == ["modern.example"]


@settings(max_examples=200)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=300), st.just(record(ED)), st.binary().map(lambda b: b"v=DKIM1; p=" + b)
        ),
        max_size=3,
    )
)
def test_any_record_is_judged(texts: list[bytes]) -> None:
    answer = found(*texts) if texts else Answer(Outcome.NODATA)
    report = judge(named(ED), answer)
    assert bool(report.problems) == (report.status is not Status.OK)
    assert all(len(problem.splitlines()) == 1 for problem in report.problems)
    if report.status is Status.OK:
        assert report.same
