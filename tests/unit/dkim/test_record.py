"""The key record (RFC 6376 §3.6.1, RFC 8463 §4)."""

from __future__ import annotations

from base64 import b64encode

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from gatepost.dkim.record import KeyProblem, KeyRecord, parse_record
from tests.unit.dkim.support import ed25519_key, record, rsa_key

RSA = record(rsa_key(1024), "").decode().partition("p=")[2]
ED25519 = record(ed25519_key(), "").decode().partition("p=")[2]
BARE_RSA = b64encode(rsa_key(1024).public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)).decode()
CURVE = b64encode(
    generate_private_key(SECP256R1())
    .public_key()
    .public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
).decode()


@pytest.mark.parametrize(
    ("text", "bits", "testing", "strict"),
    [
        (f"v=DKIM1; k=rsa; p={RSA}", 1024, False, False),
        (f"p={RSA}", 1024, False, False),
        (f"p={BARE_RSA}", 1024, False, False),
        (f"v=DKIM1; k=RSA; p={RSA};", 1024, False, False),
        (f"v=DKIM1; p={RSA[:60]} \t{RSA[60:]}", 1024, False, False),
        (f"v=DKIM1; n=notes=here; p={RSA}; x=unknown", 1024, False, False),
        (f"v=DKIM1; t=y; p={RSA}", 1024, True, False),
        (f"v=DKIM1; t=y:s; p={RSA}", 1024, True, True),
        (f"v=DKIM1; t= S : future ; p={RSA}", 1024, False, True),
        (f"v=DKIM1; h=sha1:sha256; p={RSA}", 1024, False, False),
        (f"v=DKIM1; s=email; p={RSA}", 1024, False, False),
        (f"v=DKIM1; s=other:*; p={RSA}", 1024, False, False),
        (f"v=DKIM1; k=ed25519; p={ED25519}", 256, False, False),
    ],
)
def test_usable(text: str, bits: int, testing: bool, strict: bool) -> None:
    key = parse_record(text.encode())
    assert isinstance(key, KeyRecord)
    assert (key.bits, key.testing, key.strict_identity) == (bits, testing, strict)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("bogus", "key record: not of the form tag=value"),
        ("", "key record: no p="),
        ("v=DKIM1", "key record: no p="),
        (f"v=DKIM1; p={RSA}; p={RSA}", "key record: a tag stands twice"),
        (f"p={RSA}; v=DKIM1", "key record: v= must come first and be DKIM1"),
        (f"v=dkim1; p={RSA}", "key record: v= must come first and be DKIM1"),
        (f"v=DKIM2; p={RSA}", "key record: v= must come first and be DKIM1"),
        (f"h=sha1; p={RSA}", "key not for SHA-256 (h=)"),
        (f"h=; p={RSA}", "key not for SHA-256 (h=)"),
        (f"s=other; p={RSA}", "key not for mail (s=)"),
        (f"k=dsa; p={RSA}", "key record: unknown key type"),
        ("p=?", "key record: p= is not base64"),
        (f"p={RSA[:-8]}", "key record: p= is no RSA key"),
        (f"p={CURVE}", "key record: p= is no RSA key"),
        (f"k=rsa; p={ED25519}", "key record: p= is no RSA key"),
        (f"k=ed25519; p={RSA}", "key record: p= is no Ed25519 key"),
        ("k=ed25519; p=HbawiMnQXTCopHTkR0jlKQ==", "key record: p= is no Ed25519 key"),
        ("p=" + "A" * 4100, "key record: p= has more than 4096 characters"),
        ("n=" + "x" * 9000, "key record: longer than 8192 octets"),
        ("v=DKIM1; p=\x01", "key record: control character"),
    ],
)
def test_problem(text: str, reason: str) -> None:
    problem = parse_record(text.encode())
    assert isinstance(problem, KeyProblem)
    assert (problem.reason, problem.revoked) == (reason, False)


@pytest.mark.parametrize("text", ["p=", "v=DKIM1; k=rsa; p= ", "v=DKIM1; k=ed25519; p=;"])
def test_revoked(text: str) -> None:
    problem = parse_record(text.encode())
    assert isinstance(problem, KeyProblem)
    assert problem.revoked


@given(
    st.one_of(st.binary(max_size=300), st.text(alphabet="vkpths=;:DKIM1 yA/+", max_size=80).map(str.encode))
)
def test_never_raises(text: bytes) -> None:
    assert isinstance(parse_record(text), KeyRecord | KeyProblem)
