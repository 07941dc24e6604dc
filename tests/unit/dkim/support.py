"""What the DKIM tables stand on: keys, a way to craft any signature, and one call that verifies."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from functools import cache

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gatepost.dkim.body import BodyHasher
from gatepost.dkim.canonical import HeaderIndex
from gatepost.dkim.record import parse_record
from gatepost.dkim.result import SignatureResult
from gatepost.dkim.sign import sign_digest
from gatepost.dkim.verify import Policy, Verification, header_digest
from gatepost.dns.answer import Answer, Outcome
from gatepost.message import HeaderField
from tests.harness.mail import parse

NOW = 1_700_000_000

MESSAGE = b"""\
From: Anna <anna@example.nl>
To: bert@example.org
Subject: an  ordinary
\tmessage
Date: Tue, 14 Nov 2023 22:13:20 +0000
Message-ID: <1@example.nl>

Hello  Bert,

this is \tthe text.

"""

Zone = Mapping[str, Answer | bytes | Sequence[bytes]]


@cache
def rsa_key(bits: int = 2048) -> RSAPrivateKey:
    return generate_private_key(65537, bits)


@cache
def ed25519_key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


def record(key: RSAPrivateKey | Ed25519PrivateKey, tags: str = "v=DKIM1; ") -> bytes:
    """The key record for *key*, with *tags* before k= and p=."""
    if isinstance(key, RSAPrivateKey):
        kind, octets = "rsa", key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    else:
        kind, octets = "ed25519", key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return f"{tags}k={kind}; p={b64encode(octets).decode()}".encode()


def craft(
    raw: bytes,
    key: RSAPrivateKey | Ed25519PrivateKey,
    *,
    without: Sequence[str] = (),
    **tags: str,
) -> bytes:
    """*raw* with a signature on top that holds, whatever *tags* say; *without* names tags to leave out."""
    headers, body = parse(raw)
    algorithm = "rsa-sha256" if isinstance(key, RSAPrivateKey) else "ed25519-sha256"
    chosen = {
        "v": "1", "a": algorithm, "c": "relaxed/relaxed", "d": "example.nl", "s": "mail",
        "h": "from:to:subject:date:message-id",
    } | tags  # fmt: skip
    header_form, _, body_form = chosen["c"].partition("/")
    hasher = BodyHasher()
    digest = hasher.digest(
        body_form if body_form == "relaxed" else "simple", int(chosen["l"]) if "l" in chosen else None
    )
    hasher.update(body)
    hasher.finish()
    chosen.setdefault("bh", b64encode(digest.digest()).decode())
    text = "; ".join(f"{name}={value}" for name, value in chosen.items() if name not in (*without, "b"))
    field = HeaderField(b"DKIM-Signature", f" {text}; b=".encode())
    names = [name.strip().lower().encode() for name in chosen["h"].split(":")]
    form = header_form if header_form == "relaxed" else "simple"
    signature = b64encode(sign_digest(key, header_digest(HeaderIndex(headers), field, names, form)))
    value = field.value + chosen.get("b", signature.decode()).encode()
    return b"DKIM-Signature:" + value + b"\n" + raw


def verify(
    raw: bytes, zone: Zone | None = None, policy: Policy | None = None, now: float = NOW, chunk: int = 1 << 16
) -> list[SignatureResult]:
    """Verify *raw* against *zone*: names to records, or to an answer where there is none."""
    headers, body = parse(raw)
    verification = Verification(headers, policy or Policy(), now)
    for start in range(0, len(body), chunk):
        verification.body(body[start : start + chunk])
    answers = {name: _answer((zone or {}).get(name)) for name in verification.key_names}
    return verification.results(answers, parse_record)


def _answer(entry: Answer | bytes | Sequence[bytes] | None) -> Answer:
    if entry is None:
        return Answer(Outcome.NXDOMAIN)
    if isinstance(entry, Answer):
        return entry
    return Answer(Outcome.FOUND, (entry,) if isinstance(entry, bytes) else tuple(entry))
