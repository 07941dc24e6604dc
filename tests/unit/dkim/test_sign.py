"""The signer: what it makes, dkimpy and our own verifier accept, in every form."""

from __future__ import annotations

from typing import Any

import dkim
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatepost.dkim import taglist
from gatepost.dkim.result import Verdict
from gatepost.dkim.sign import DEFAULT_OVERSIGN, Signing, SigningError, SigningPolicy
from gatepost.dkim.signing_key import SigningKey
from gatepost.message import HeaderField
from tests.harness.mail import parse, unparse
from tests.unit.dkim.support import MESSAGE, NOW, ed25519_key, record, rsa_key, verify

RSA = SigningKey("example.nl", "rsa", rsa_key())
ED25519 = SigningKey("example.nl", "ed", ed25519_key(), identity="@example.nl")
ZONE = {"rsa._domainkey.example.nl": record(rsa_key()), "ed._domainkey.example.nl": record(ed25519_key())}


def signed(raw: bytes, *keys: SigningKey, **policy: Any) -> list[HeaderField]:
    headers, body = parse(raw)
    signing = Signing(headers, keys, SigningPolicy(**policy), NOW)
    for octet in body:
        signing.body(bytes([octet]))
    return [HeaderField(b"DKIM-Signature", b" " + value) for value in signing.fields()]


def tags(field: HeaderField) -> dict[bytes, bytes]:
    return taglist.parse(field.value, 1 << 16)


def dkimpy_accepts(raw: bytes) -> bool:
    return bool(dkim.verify(raw, dnsfunc=lambda name, timeout=5: ZONE[name.decode().rstrip(".")]))


@pytest.mark.parametrize("header_form", ["simple", "relaxed"])
@pytest.mark.parametrize("body_form", ["simple", "relaxed"])
@pytest.mark.parametrize("key", [RSA, ED25519], ids=["rsa", "ed25519"])
def test_accepted_by_dkimpy_and_by_us(key: SigningKey, header_form: str, body_form: str) -> None:
    (field,) = signed(MESSAGE, key, header_canonicalization=header_form, body_canonicalization=body_form)
    headers, body = parse(MESSAGE)
    raw = unparse([field, *headers], body)
    assert dkimpy_accepts(raw)
    (result,) = verify(raw, ZONE)
    assert result.verdict is Verdict.PASS


def test_several_keys_make_several_signatures() -> None:
    fields = signed(MESSAGE, RSA, ED25519)
    assert [tags(field)[b"a"] for field in fields] == [b"rsa-sha256", b"ed25519-sha256"]
    headers, body = parse(MESSAGE)
    assert [result.verdict for result in verify(unparse([*fields, *headers], body), ZONE)] == [
        Verdict.PASS
    ] * 2


def test_tags() -> None:
    (field,) = signed(MESSAGE, ED25519, ttl=86400.0)
    found = tags(field)
    assert found[b"t"] == str(NOW).encode()
    assert found[b"x"] == str(NOW + 86400).encode()
    assert found[b"i"] == b"@example.nl"
    assert not {b"l", b"z"} & set(found)
    assert b"x" not in tags(signed(MESSAGE, RSA)[0])
    assert b"i" not in tags(signed(MESSAGE, RSA)[0])


def test_oversigning() -> None:
    names = tags(signed(MESSAGE, RSA)[0])[b"h"].lower().replace(b" ", b"").replace(b"\t", b"").split(b":")
    for name in DEFAULT_OVERSIGN:
        present = sum(field.name.lower() == name.lower().encode() for field in parse(MESSAGE)[0])
        assert names.count(name.lower().encode()) == present + 1, name


@pytest.mark.parametrize(
    "name", [b"Received", b"Return-Path", b"List-Id", b"Authentication-Results", b"DKIM-Signature"]
)
def test_never_signed(name: bytes) -> None:
    raw = name + b": x\n" + MESSAGE
    assert name.lower() not in tags(signed(raw, RSA)[0])[b"h"].lower().split(b":")
    asked = signed(raw, RSA, headers=("From", name.decode()))
    assert (name in tags(asked[0])[b"h"].split(b":")) == (name == b"List-Id")


def test_every_line_is_short_and_every_name_whole() -> None:
    (field,) = signed(b"".join(b"Cc: x\n" for _ in range(40)) + MESSAGE, RSA)
    assert all(len(line) <= 78 for line in field.value.split(b"\n"))
    names = b"".join(tags(field)[b"h"].split()).split(b":")
    assert names.count(b"Cc") == 41


def test_identity_cannot_break_out() -> None:
    key = SigningKey("example.nl", "rsa", rsa_key(), identity="a;l=0 b=@example.nl")
    headers, body = parse(MESSAGE)
    field = signed(MESSAGE, key)[0]
    assert b"l" not in tags(field)
    (result,) = verify(unparse([field, *headers], body), ZONE)
    assert (result.verdict, result.identity) == (Verdict.PASS, "a;l=0 b=@example.nl")


def test_no_from_cannot_be_signed() -> None:
    with pytest.raises(SigningError):
        Signing([HeaderField(b"To", b" x")], [RSA], SigningPolicy(), NOW)


values = st.binary(max_size=60).map(
    lambda value: b" " + value.replace(b"\r", b"").replace(b"\n", b"\n ").replace(b"\x00", b"").rstrip(b"\n ")
)
names = st.sampled_from([b"Subject", b"To", b"X-Odd", b"CC", b"Received"])


@settings(max_examples=100)
@given(
    st.lists(st.builds(HeaderField, names, values), max_size=6),
    st.lists(st.sampled_from([b" ", b"\t", b"\r\n", b"a", b"."]), max_size=20).map(b"".join),
    st.sampled_from(["simple", "relaxed"]),
)
def test_whatever_is_signed_verifies(fields: list[HeaderField], body: bytes, form: str) -> None:
    headers = [HeaderField(b"From", b" anna@example.nl"), *fields]
    signing = Signing(
        headers, [ED25519], SigningPolicy(header_canonicalization=form, body_canonicalization=form), NOW
    )
    signing.body(body)
    (value,) = signing.fields()
    raw = unparse([HeaderField(b"DKIM-Signature", b" " + value), *headers], body)
    (result,) = verify(raw, ZONE)
    assert result.verdict is Verdict.PASS
