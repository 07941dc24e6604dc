"""Keys to test with, made once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import PublicFormat

from gatepost.dkim.keys.keydata import PrivateKey
from tests.harness.clock import Seconds


def pem(key: PrivateKey, form: serialization.PrivateFormat = serialization.PrivateFormat.PKCS8) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def public(key: PrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def write_key(path: Path, key: PrivateKey) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pem(key))
    path.chmod(0o600)
    return path


@dataclass(frozen=True)
class Keys:
    rsa: RSAPrivateKey
    other_rsa: RSAPrivateKey
    short_rsa: RSAPrivateKey
    ed25519: Ed25519PrivateKey


@pytest.fixture(scope="session")
def keys() -> Keys:
    return Keys(
        rsa=generate_private_key(65537, 2048),
        other_rsa=generate_private_key(65537, 2048),
        short_rsa=generate_private_key(65537, 1024),
        # Not a random one: base64 that starts with "/" would be a path in a key table.
        ed25519=Ed25519PrivateKey.from_private_bytes(bytes(range(32))),
    )


@pytest.fixture
def clock() -> Seconds:
    return Seconds()


@pytest.fixture
def key_file(tmp_path: Path, keys: Keys) -> Path:
    return write_key(tmp_path / "rsa.private", keys.rsa)
