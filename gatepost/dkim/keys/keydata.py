"""What a private key looks like as text: PEM, base64 DER, or the bare seed of an Ed25519 key."""

from __future__ import annotations

import binascii
from base64 import b64decode

from cryptography.exceptions import InternalError, InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_private_key,
)

PrivateKey = RSAPrivateKey | Ed25519PrivateKey

_BEGIN = b"-----BEGIN "
_DASHES = b"-----"
_PRIVATE = b"PRIVATE KEY"
_SEED_OCTETS = 32


class KeyFormatError(ValueError):
    """The data is no key that can sign. The message is one line, without the data, and ends with what to do."""


def decode_private_key(data: bytes, min_rsa_bits: int) -> PrivateKey:
    """Read a private key for RSA (PKCS#1, PKCS#8) or Ed25519 (PKCS#8, RFC 8410; or its seed).

    The key may stand as PEM, with any text around it and any line ends, or as
    bare base64: of the DER, or of an Ed25519 seed, with or without the public
    key behind it.
    Raises KeyFormatError, also for an RSA key of less than *min_rsa_bits*.
    """
    block = _pem_block(data)
    if block is not None:
        return _checked(_load_der(_from_base64(block)), min_rsa_bits)
    raw = _from_base64(data)
    if len(raw) == _SEED_OCTETS:
        return Ed25519PrivateKey.from_private_bytes(raw)
    if len(raw) == 2 * _SEED_OCTETS:
        return _seed_and_public(raw)
    return _checked(_load_der(raw), min_rsa_bits)


def _pem_block(data: bytes) -> bytes | None:
    """The base64 of the first private key in *data*; None where *data* is not PEM at all."""
    other = ""
    start = data.find(_BEGIN)
    while start >= 0:
        label_start = start + len(_BEGIN)
        label_end = data.find(_DASHES, label_start)
        if label_end < 0:
            break
        label = data[label_start:label_end]
        if label.endswith(_PRIVATE):
            return _private_block(data, label, label_end + len(_DASHES))
        other = other or label.decode("ascii", "replace")[:40]
        start = data.find(_BEGIN, label_end)
    if other:
        shown = other if other.isprintable() else "something else"
        raise KeyFormatError(f"holds a {shown}, not a private key: name the file with the private key")
    return None


def _private_block(data: bytes, label: bytes, start: int) -> bytes:
    end = data.find(b"-----END " + label + _DASHES, start)
    if end < 0:
        raise KeyFormatError(
            "is cut off, the END line is missing: copy the key again, or make one with gatepost keygen"
        )
    block = data[start:end]
    if label == b"ENCRYPTED PRIVATE KEY" or b"ENCRYPTED" in block:
        raise KeyFormatError("is encrypted: take off the passphrase with openssl pkey -in FILE -out NEWFILE")
    if label == b"OPENSSH PRIVATE KEY":
        raise KeyFormatError("is an OpenSSH key: make a key for DKIM with gatepost keygen")
    return block


def _from_base64(text: bytes) -> bytes:
    try:
        return b64decode(b"".join(text.split()), validate=True)
    except binascii.Error:
        raise KeyFormatError("is not a private key in PEM or base64: make one with gatepost keygen") from None


def _load_der(der: bytes) -> object:
    try:
        # The full check of an RSA key takes 27 ms, too long for a message to wait; _checked does what matters.
        return load_der_private_key(der, password=None, unsafe_skip_rsa_key_validation=True)
    except TypeError:
        raise KeyFormatError(
            "is encrypted: take off the passphrase with openssl pkey -in FILE -out NEWFILE"
        ) from None
    except (ValueError, UnsupportedAlgorithm, InternalError):
        raise KeyFormatError("is damaged, or not a private key: make one with gatepost keygen") from None


def _checked(key: object, min_rsa_bits: int) -> PrivateKey:
    if isinstance(key, Ed25519PrivateKey):
        return key
    if not isinstance(key, RSAPrivateKey):
        raise KeyFormatError(
            "is of a kind that DKIM does not know: make an RSA or Ed25519 key with gatepost keygen"
        )
    if key.key_size < min_rsa_bits:
        raise KeyFormatError(
            f"is an RSA key of {key.key_size} bits, less than {min_rsa_bits}: make a longer one with gatepost keygen"
            " (RFC 8301 §3.2)"
        )
    # One signature proves that the numbers of the key belong together, in a hundredth of the full check's time.
    probe = b"gatepost"
    try:
        key.public_key().verify(key.sign(probe, PKCS1v15(), SHA256()), probe, PKCS1v15(), SHA256())
    except (ValueError, InvalidSignature, InternalError):
        raise KeyFormatError(
            "is damaged, what it signs does not verify: make a new one with gatepost keygen"
        ) from None
    return key


def _seed_and_public(raw: bytes) -> Ed25519PrivateKey:
    """The form of libsodium: the seed, then the public key that follows from it."""
    key = Ed25519PrivateKey.from_private_bytes(raw[:_SEED_OCTETS])
    if key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw) != raw[_SEED_OCTETS:]:
        raise KeyFormatError("is damaged, its two halves do not fit: make a new one with gatepost keygen")
    return key
