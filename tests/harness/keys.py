"""Fresh DKIM keys with their DNS records, and dkimpy as the other party's signer and verifier.

dkimpy stands for the strangers we exchange mail with, and so as a second
opinion: nothing of ours takes part.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import dkim
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)


@dataclass(frozen=True)
class KeyPair:
    """A signing key of *domain* under *selector*."""

    domain: str
    selector: str
    private: RSAPrivateKey | Ed25519PrivateKey

    @property
    def name(self) -> str:
        """Where the public key is published (RFC 6376 §3.6.2.1)."""
        return f"{self.selector}._domainkey.{self.domain}"

    @property
    def record(self) -> str:
        """The TXT record (RFC 6376 §3.6.1, RFC 8463 §4)."""
        public = self.private.public_key()
        if isinstance(self.private, RSAPrivateKey):
            kind, octets = "rsa", public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        else:
            kind, octets = "ed25519", public.public_bytes(Encoding.Raw, PublicFormat.Raw)
        return f"v=DKIM1; k={kind}; p={base64.b64encode(octets).decode()}"

    @property
    def pem(self) -> bytes:
        """The private key as PKCS #8."""
        return self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def write(self, file: Path) -> Path:
        """Write the private key, readable by its owner alone."""
        file.touch(mode=0o600)
        file.write_bytes(self.pem)
        return file

    def sign(self, octets: bytes, *, canonicalization: str = "relaxed/relaxed", sha1: bool = False) -> bytes:
        """The message with a signature by dkimpy on top. *sha1* makes the rsa-sha1 that RFC 8301 forbids."""
        if isinstance(self.private, RSAPrivateKey):
            algorithm, key = b"rsa-sha1" if sha1 else b"rsa-sha256", self.pem
        else:
            raw = self.private.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
            algorithm, key = b"ed25519-sha256", base64.b64encode(raw)
        header, body = canonicalization.encode().split(b"/")
        field: bytes = dkim.sign(
            octets,
            self.selector.encode(),
            self.domain.encode(),
            key,
            canonicalize=(header, body),
            signature_algorithm=algorithm,
        )
        return field + octets


def rsa_key(domain: str, selector: str = "mail", bits: int = 2048) -> KeyPair:
    """A fresh RSA key."""
    return KeyPair(domain, selector, generate_private_key(65537, bits))


def ed25519_key(domain: str) -> KeyPair:
    """A fresh Ed25519 key."""
    return KeyPair(domain, "ed", Ed25519PrivateKey.generate())


def passes(octets: bytes, records: Mapping[str, str]) -> list[bool]:
    """For each signature from the top, whether it holds for dkimpy, with the TXT *records* by name."""

    def lookup(name: bytes, timeout: int = 5) -> bytes | None:
        record = records.get(name.decode().rstrip("."))
        return None if record is None else record.encode()

    verifier = dkim.DKIM(octets)
    count = sum(1 for name, _ in verifier.headers if name.lower() == b"dkim-signature")
    verdicts = []
    for index in range(count):
        try:
            verdicts.append(bool(dkim.DKIM(octets).verify(index, dnsfunc=lookup)))
        except dkim.DKIMException:
            verdicts.append(False)
    return verdicts
