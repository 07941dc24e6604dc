"""The public key record in the DNS (RFC 6376 §3.6.1, RFC 8463 §4, RFC 8301 §3.2)."""

from __future__ import annotations

import re
from binascii import Error as Base64Error
from binascii import a2b_base64
from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from gatepost.dkim import taglist

MAX_RECORD = 8 * 1024
"""Octets of a key record that are read."""
MAX_KEY_TEXT = 4096
"""Characters that p= may have: RSA of 16,384 bits takes less."""
MAX_RSA_BITS = 8192
"""Larger keys are refused: verifying with them costs more than it is worth."""

PublicKey = RSAPublicKey | Ed25519PublicKey

_WORD = re.compile(rb"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?|\*")


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A usable key.

    ``algorithm`` is the a= of the signatures that it verifies. ``bits`` is the
    size of an RSA key, 256 for Ed25519. ``testing`` is t=y, ``strict_identity``
    t=s: i= may then be no subdomain of d=.
    """

    key: PublicKey
    algorithm: str
    bits: int
    testing: bool
    strict_identity: bool


@dataclass(frozen=True, slots=True)
class KeyProblem:
    """A record that gives no key for a message signed with SHA-256; ``reason`` says why.

    ``revoked`` is an empty p=: the key was withdrawn (§3.6.1).
    """

    reason: str
    revoked: bool = False
    testing: bool = False


def parse_record(text: bytes) -> KeyRecord | KeyProblem:
    """Read one TXT record, its strings joined. Never raises."""
    try:
        tags = taglist.parse(text, MAX_RECORD)
    except taglist.TagListError as error:
        return KeyProblem(f"key record: {error}")
    flags = _words(tags.get(b"t", b""))
    testing = b"y" in flags
    try:
        key = _key(tags)
    except ValueError as error:
        return KeyProblem(str(error), testing=testing)
    if key is None:
        return KeyProblem("key revoked", revoked=True, testing=testing)
    if isinstance(key, RSAPublicKey):
        algorithm, bits = "rsa-sha256", key.key_size
    else:
        algorithm, bits = "ed25519-sha256", 256
    return KeyRecord(key, algorithm, bits, testing, strict_identity=b"s" in flags)


def _words(value: bytes) -> list[bytes]:
    """A colon-separated list, in lower case, of words only."""
    words = [word.strip().lower() for word in value.split(b":")]
    return [word for word in words if _WORD.fullmatch(word)]


def _key(tags: dict[bytes, bytes]) -> PublicKey | None:
    """The key, None for a revoked one. Raises ValueError with the reason where there is none to use."""
    if b"v" in tags and (next(iter(tags)) != b"v" or tags[b"v"] != b"DKIM1"):
        raise ValueError("key record: v= must come first and be DKIM1")
    if b"p" not in tags:
        raise ValueError("key record: no p=")
    if b"h" in tags and b"sha256" not in _words(tags[b"h"]):
        raise ValueError("key not for SHA-256 (h=)")
    if b"s" in tags and not {b"email", b"*"}.intersection(_words(tags[b"s"])):
        raise ValueError("key not for mail (s=)")
    kind = tags.get(b"k", b"rsa").lower()
    if kind not in (b"rsa", b"ed25519"):
        raise ValueError("key record: unknown key type")
    text = taglist.squeezed(tags[b"p"])
    if not text:
        return None
    if len(text) > MAX_KEY_TEXT:
        raise ValueError(f"key record: p= has more than {MAX_KEY_TEXT} characters")
    try:
        octets = a2b_base64(text, strict_mode=True)
    except Base64Error:
        raise ValueError("key record: p= is not base64") from None
    return _rsa(octets) if kind == b"rsa" else _ed25519(octets)


def _rsa(octets: bytes) -> RSAPublicKey:
    # The ABNF says RSAPublicKey, the examples and erratum 3017 SubjectPublicKeyInfo: both are out there.
    try:
        key = load_der_public_key(octets)
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("key record: p= is no RSA key") from None
    if not isinstance(key, RSAPublicKey):
        raise ValueError("key record: p= is no RSA key")
    if key.key_size > MAX_RSA_BITS:
        raise ValueError(f"RSA key of {key.key_size} bits, over {MAX_RSA_BITS}")
    return key


def _ed25519(octets: bytes) -> Ed25519PublicKey:
    if len(octets) != 32:
        raise ValueError("key record: p= is no Ed25519 key")
    return Ed25519PublicKey.from_public_bytes(octets)
