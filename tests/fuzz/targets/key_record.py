"""DKIM key records (``gatepost.dkim.record``).

- Nothing is raised; a reason is one printable line.
- A key that is used is RSA of no more than the bits taken, or Ed25519; verifying with it raises nothing.
- A revoked key has no text of p=, and a record without p= is never revoked.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from gatepost.dkim.record import MAX_RECORD, MAX_RSA_BITS, KeyProblem, parse_record
from gatepost.dkim.verify import holds

_ED25519 = b"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
_RSA_512 = (
    b"v=DKIM1; k=rsa; p=MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAKj34GkxFhD90vcNLYLInFEX6Ppy1tPf9Cnzj4p4WGeKLs1Pt8Qu"
    b"KUpRKfFLfRYC9AIKjbJTWit+CqvjWYzvQwECAwEAAQ=="
)
_DIGEST = hashlib.sha256(b"anything").digest()
SEEDS = (
    _ED25519,
    _ED25519 + b"; t=y:s; h=sha256; s=email; n=a word",
    _RSA_512,
    _RSA_512.replace(b"v=DKIM1; k=rsa; ", b""),
    b"v=DKIM1; p=",
    b"v=DKIM1; h=sha1; s=other; p=AAAA",
    b"p=AAAA; v=DKIM1",
    b"v=DKIM1; k=rsa; p=" + b64encode(bytes.fromhex("3006020100020100")),
    b"v=DKIM1; k=rsa; p=" + b64encode(bytes.fromhex("300602010f020103")),
)
WORDS = (
    b"; p=",
    b"; k=rsa",
    b"; k=ed25519",
    b"; t=y",
    b"; h=",
    b"; s=*",
    b"v=DKIM1",
    b"AQAB",
    b"MIIB",
    b"\n ",
)


def check(data: bytes) -> None:
    record = parse_record(data)
    if isinstance(record, KeyProblem):
        assert record.reason.isprintable()
        assert len(record.reason) < 200
        assert not record.revoked or b"p" in data.lower()
        return
    assert len(data) <= MAX_RECORD
    if isinstance(record.key, RSAPublicKey):
        assert record.bits == record.key.key_size <= MAX_RSA_BITS
        assert not holds(record.key, bytes(record.bits // 8), _DIGEST)
    else:
        assert record.bits == 256
        # An all-zero key is a point of small order: whoever publishes it lets anybody sign.
        holds(record.key, bytes(64), _DIGEST)
    assert not holds(record.key, b"", _DIGEST)
