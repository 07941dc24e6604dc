"""The verifier's rules, one row each: a signature that would hold but for the matter at hand."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gatepost.dkim.result import Cause, Verdict
from gatepost.dkim.verify import Policy, Verification
from gatepost.dns.answer import Answer, Outcome
from gatepost.suffixes import public_suffix_test
from tests.harness.mail import parse
from tests.unit.dkim.support import MESSAGE, NOW, craft, ed25519_key, record, rsa_key, verify

KEY = "mail._domainkey.example.nl"
POLICY = Policy(is_public_suffix=public_suffix_test())
RSA = rsa_key()
ZONE = {KEY: record(RSA)}
DAY = 86400


def outcome(raw: bytes, zone: Any = None, **policy: Any) -> tuple[Verdict, Cause, str]:
    (result,) = verify(raw, ZONE if zone is None else zone, replace(POLICY, **policy))
    return result.verdict, result.cause, result.reason


PASS = (Verdict.PASS, Cause.VERIFIED, "")
UNSIGNED_FROM = (Verdict.POLICY, Cause.SECURITY, "a From field is not signed")


@pytest.mark.parametrize(
    "form", ["simple", "relaxed", "simple/simple", "simple/relaxed", "relaxed/simple", "relaxed/relaxed"]
)
@pytest.mark.parametrize("key", [RSA, ed25519_key()], ids=["rsa", "ed25519"])
def test_every_canonicalization_and_algorithm(form: str, key: Any) -> None:
    raw = craft(MESSAGE, key, c=form)
    for chunk in (1, 7, 1 << 16):
        (result,) = verify(raw, {KEY: record(key)}, POLICY, chunk=chunk)
        assert result.verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("tags", "policy", "expected"),
    [
        # t=, x= (RFC 6376 §3.5), with the clocks allowed to differ
        ({"x": str(NOW - 301)}, {}, (Verdict.FAIL, Cause.TIME, "signature expired")),
        ({"x": str(NOW - 299)}, {}, PASS),
        ({"x": str(NOW - 1)}, {"clock_drift": 0.0}, (Verdict.FAIL, Cause.TIME, "signature expired")),
        ({"x": str(NOW + DAY)}, {}, PASS),
        ({"x": "9" * 20}, {}, PASS),
        ({"t": str(NOW + 301)}, {}, (Verdict.NEUTRAL, Cause.TIME, "signature is from the future")),
        ({"t": str(NOW + 299)}, {}, PASS),
        ({"t": str(NOW - 900 * DAY)}, {}, PASS),
        # l= (§3.5, §8.2)
        ({"l": "10"}, {}, (Verdict.POLICY, Cause.SECURITY, "l= leaves part of the body unsigned")),
        ({"l": "0"}, {}, (Verdict.POLICY, Cause.SECURITY, "l= leaves part of the body unsigned")),
        ({"l": "10"}, {"accept_partial_body": True}, PASS),
        ({"l": "34"}, {}, PASS),
        ({"l": "35"}, {}, (Verdict.PERMERROR, Cause.MALFORMED, "body is shorter than l=")),
        ({"l": "35"}, {"accept_partial_body": True}, (Verdict.PERMERROR, Cause.MALFORMED, "body is shorter than l=")),
        # d= (§6.1.1)
        ({"d": "nl"}, {}, (Verdict.POLICY, Cause.SECURITY, "d= is a public suffix")),
        ({"d": "co.uk"}, {}, (Verdict.POLICY, Cause.SECURITY, "d= is a public suffix")),
        ({"d": "localhost"}, {}, (Verdict.POLICY, Cause.SECURITY, "d= is a public suffix")),
        # h= and what has to be in it
        ({"h": "from"}, {}, PASS),
        ({"h": "from"}, {"must_be_signed": (b"subject",)}, (Verdict.POLICY, Cause.SECURITY, "Subject is not signed")),
        ({"h": "from:subject"}, {"must_be_signed": (b"subject", b"content-type")}, PASS),
        ({"h": "from:from:x-absent"}, {}, PASS),
        # broken fields
        ({"v": "2"}, {}, (Verdict.PERMERROR, Cause.MALFORMED, "unknown version")),
        ({"h": "to:subject"}, {}, (Verdict.PERMERROR, Cause.MALFORMED, "h= lacks From")),
        ({"i": "a@example.org"}, {}, (Verdict.PERMERROR, Cause.MALFORMED, "i= is not within d=")),
        # the hashes
        ({"bh": "Zm9v"}, {}, (Verdict.FAIL, Cause.MISMATCH, "body altered")),
        ({"b": "Zm9v"}, {}, (Verdict.FAIL, Cause.MISMATCH, "header altered, or signed with another key")),
    ],
)  # fmt: skip
def test_signature_rules(
    tags: dict[str, str], policy: dict[str, Any], expected: tuple[Verdict, Cause, str]
) -> None:
    raw = craft(MESSAGE, RSA, **tags)
    zone = {f"mail._domainkey.{tags.get('d', 'example.nl')}": record(RSA)}
    assert outcome(raw, zone, **policy) == expected


def test_rsa_sha1_is_never_looked_at() -> None:
    raw = craft(MESSAGE, RSA, a="rsa-sha1")
    headers, _ = parse(raw)
    verification = Verification(headers, POLICY, NOW)
    assert verification.key_names == set()
    assert not verification.needs_body
    assert outcome(raw) == (Verdict.POLICY, Cause.SECURITY, "rsa-sha1 is not secure")


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("v=DKIM1; h=sha1; ", (Verdict.PERMERROR, Cause.MALFORMED, "key not for SHA-256 (h=)")),
        ("v=DKIM1; s=other; ", (Verdict.PERMERROR, Cause.MALFORMED, "key not for mail (s=)")),
        ("v=DKIM2; ", (Verdict.PERMERROR, Cause.MALFORMED, "key record: v= must come first and be DKIM1")),
        ("v=DKIM1; t=s; ", PASS),
        ("", PASS),
    ],
)
def test_key_tags(tags: str, expected: tuple[Verdict, Cause, str]) -> None:
    assert outcome(craft(MESSAGE, RSA), {KEY: record(RSA, tags)}) == expected


def test_strict_identity() -> None:
    raw = craft(MESSAGE, RSA, i="@sub.example.nl")
    assert outcome(raw) == PASS
    problem = (Verdict.PERMERROR, Cause.MALFORMED, "key forbids i= in a subdomain (t=s)")
    assert outcome(raw, {KEY: record(RSA, "t=s; ")}) == problem


def test_testing_key_is_told() -> None:
    (result,) = verify(craft(MESSAGE, RSA), {KEY: record(RSA, "t=y; ")}, POLICY)
    assert (result.verdict, result.testing) == (Verdict.PASS, True)
    (result,) = verify(craft(MESSAGE, RSA, bh="Zm9v"), {KEY: record(RSA, "t=y; ")}, POLICY)
    assert (result.verdict, result.testing) == (Verdict.FAIL, True)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer(Outcome.NXDOMAIN), (Verdict.PERMERROR, Cause.KEY_NOT_FOUND, "no key for signature")),
        (Answer(Outcome.NODATA), (Verdict.PERMERROR, Cause.KEY_NOT_FOUND, "no key for signature")),
        (Answer(Outcome.SERVFAIL), (Verdict.TEMPERROR, Cause.DNS, "key lookup: servfail")),
        (Answer(Outcome.TIMEOUT), (Verdict.TEMPERROR, Cause.DNS, "key lookup: timeout")),
        (b"v=DKIM1; p=", (Verdict.PERMERROR, Cause.KEY_NOT_FOUND, "key revoked")),
        (b"v=spf1 -all", (Verdict.PERMERROR, Cause.MALFORMED, "key record: v= must come first and be DKIM1")),
        ((record(RSA), b"x=y"), (Verdict.PERMERROR, Cause.MALFORMED, "several key records")),
        (record(ed25519_key()), (Verdict.PERMERROR, Cause.MALFORMED, "key is of another type than a=")),
    ],
)
def test_answers(answer: Any, expected: tuple[Verdict, Cause, str]) -> None:
    assert outcome(craft(MESSAGE, RSA), {KEY: answer}) == expected


@pytest.mark.parametrize(
    ("bits", "policy", "expected"),
    [
        (1024, {}, PASS),
        (1024, {"min_rsa_bits": 2048}, (Verdict.POLICY, Cause.SECURITY, "RSA key of 1024 bits is too short")),
    ],
)
def test_short_rsa_keys(bits: int, policy: dict[str, Any], expected: tuple[Verdict, Cause, str]) -> None:
    assert outcome(craft(MESSAGE, rsa_key(bits)), {KEY: record(rsa_key(bits))}, **policy) == expected


@pytest.mark.parametrize(
    ("bits", "expected"),
    [
        # RFC 8301 §3.2; what the signature is then makes no difference.
        (512, (Verdict.POLICY, Cause.SECURITY, "RSA key of 512 bits is too short")),
        (1023, (Verdict.POLICY, Cause.SECURITY, "RSA key of 1023 bits is too short")),
        (1024, (Verdict.FAIL, Cause.MISMATCH, "header altered, or signed with another key")),
        (8192, (Verdict.FAIL, Cause.MISMATCH, "header altered, or signed with another key")),
        (8193, (Verdict.PERMERROR, Cause.MALFORMED, "RSA key of 8193 bits, over 8192")),
        (16384, (Verdict.PERMERROR, Cause.MALFORMED, "RSA key of 16384 bits, over 8192")),
    ],
)
def test_sizes_of_rsa_keys(bits: int, expected: tuple[Verdict, Cause, str]) -> None:
    key = RSAPublicNumbers(65537, (1 << (bits - 1)) | 1).public_key()
    octets = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert outcome(craft(MESSAGE, RSA), {KEY: b"p=" + b64encode(octets)}) == expected


def test_authentic_answer_is_told() -> None:
    (result,) = verify(
        craft(MESSAGE, RSA), {KEY: Answer(Outcome.FOUND, (record(RSA),), authentic=True)}, POLICY
    )
    assert result.authentic
    assert result.key_bits == 2048


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        # a second From, unsigned: a reader may show that one
        (b"From: Anna", b"From: Eve <eve@evil.example>\nFrom: Anna", UNSIGNED_FROM),
        (b"From: Anna", b"From : Eve <eve@evil.example>\nFrom: Anna", UNSIGNED_FROM),
        (b"\n\nHello", b"\nfrom: Eve <eve@evil.example>\n\nHello", UNSIGNED_FROM),
        (b"To: bert", b"X-New: field\nTo: bert", PASS),
        (b"Subject: an", b"Subject: another\nSubject: an", PASS),
        (b"To: bert", b"To: Bert", (Verdict.FAIL, Cause.MISMATCH, "header altered, or signed with another key")),
        (b"Subject: an  ordinary\n\tmessage", b"SUBJECT:an ordinary message  ", PASS),
        (b"the text", b"the test", (Verdict.FAIL, Cause.MISMATCH, "body altered")),
        (b"Hello  Bert,\n", b"Hello \t Bert,  \n", PASS),
        (b"text.\n\n", b"text.\n\n\n\n \n", PASS),
    ],
)  # fmt: skip
def test_changes_on_the_way(before: bytes, after: bytes, expected: tuple[Verdict, Cause, str]) -> None:
    raw = craft(MESSAGE, RSA)
    assert before in raw
    assert outcome(raw.replace(before, after, 1)) == expected


def test_oversigned_field_cannot_be_added() -> None:
    raw = craft(MESSAGE, RSA, h="from:from:subject:subject:to")
    assert outcome(raw) == PASS
    added = raw.replace(b"Subject: an", b"Subject: another\nSubject: an")
    assert outcome(added) == (Verdict.FAIL, Cause.MISMATCH, "header altered, or signed with another key")


def test_a_signature_signs_other_signatures_never_itself() -> None:
    """RFC 6376 §3.5, h=."""
    names = "from:dkim-signature:dkim-signature"
    alone = craft(MESSAGE, RSA, h=names)
    assert outcome(alone) == PASS
    first = craft(MESSAGE, RSA)
    field = craft(first, RSA, h=names)[: -len(first)]
    (second, below) = verify(field + first, ZONE, POLICY)
    assert (second.verdict, below.verdict) == (Verdict.PASS, Verdict.PASS)
    other = first[: -len(MESSAGE)]
    # Fields change places on the way, and one more comes on top.
    assert [each.verdict for each in verify(other + field + MESSAGE, ZONE, POLICY)] == [Verdict.PASS] * 2
    results = verify(craft(field + first, RSA, c="simple/simple"), ZONE, POLICY)
    assert [each.verdict for each in results] == [Verdict.PASS, Verdict.FAIL, Verdict.PASS]


def test_unsigned() -> None:
    assert verify(MESSAGE) == []


def test_at_most_ten_signatures_are_looked_at() -> None:
    raw = craft(MESSAGE, RSA)
    field = raw[: -len(MESSAGE)]
    headers, _ = parse(field * 10_000 + MESSAGE)
    verification = Verification(headers, POLICY, NOW)
    assert verification.count == 10_000
    assert len(verification.key_names) == 1
    results = verify(field * 12 + MESSAGE, ZONE, POLICY)
    assert [result.verdict for result in results] == [Verdict.PASS] * 10


def test_signatures_are_judged_each_on_its_own() -> None:
    raw = craft(craft(MESSAGE, RSA, s="two", v="3"), RSA, s="one")
    results = verify(raw, {"one._domainkey.example.nl": record(RSA)}, POLICY)
    assert [(result.selector, result.verdict) for result in results] == [
        ("one", Verdict.PASS),
        ("two", Verdict.PERMERROR),
    ]
