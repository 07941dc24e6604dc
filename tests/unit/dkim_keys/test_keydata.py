from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from gatepost.dkim.keys.keydata import KeyFormatError, PrivateKey, decode_private_key
from tests.unit.dkim_keys.conftest import Keys, pem, public

SEED_RFC8463 = b"nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A="  # RFC 8463 §A.2
PUBLIC_RFC8463 = b"11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="


def _raw(key: ed25519.Ed25519PrivateKey) -> bytes:
    return key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())


def _der(key: PrivateKey, form: PrivateFormat = PrivateFormat.PKCS8) -> bytes:
    return key.private_bytes(Encoding.DER, form, NoEncryption())


FORMS: dict[str, Callable[[Keys], tuple[bytes, PrivateKey]]] = {
    "RSA PKCS#8": lambda k: (pem(k.rsa), k.rsa),
    "RSA PKCS#1": lambda k: (pem(k.rsa, PrivateFormat.TraditionalOpenSSL), k.rsa),
    "Ed25519 PKCS#8": lambda k: (pem(k.ed25519), k.ed25519),
    "DOS line ends": lambda k: (pem(k.rsa).replace(b"\n", b"\r\n"), k.rsa),
    "no final line end": lambda k: (pem(k.rsa).rstrip(), k.rsa),
    "one line": lambda k: (pem(k.rsa).replace(b"\n", b" "), k.rsa),
    "text around": lambda k: (b"Private-Key: (2048 bit)\n" + pem(k.rsa) + b"-- \nbye\n", k.rsa),
    "public key before": lambda k: (
        k.rsa.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo) + pem(k.rsa),
        k.rsa,
    ),
    "first of two": lambda k: (pem(k.rsa) + pem(k.ed25519), k.rsa),
    "base64 PKCS#8": lambda k: (b64encode(_der(k.rsa)), k.rsa),
    "base64 PKCS#1": lambda k: (b64encode(_der(k.rsa, PrivateFormat.TraditionalOpenSSL)), k.rsa),
    "base64 Ed25519": lambda k: (b64encode(_der(k.ed25519)) + b"\n", k.ed25519),
    "seed": lambda k: (b64encode(_raw(k.ed25519)) + b"\n", k.ed25519),
    "seed and public key": lambda k: (
        b64encode(_raw(k.ed25519) + k.ed25519.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)),
        k.ed25519,
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_key(form: str, keys: Keys) -> None:
    data, expected = FORMS[form](keys)
    assert public(decode_private_key(data, 2048)) == public(expected)


def test_the_seed_of_rfc_8463() -> None:
    key = decode_private_key(SEED_RFC8463, 2048)
    assert public(key).endswith(b64decode(PUBLIC_RFC8463))


def _other_kind(key: ec.EllipticCurvePrivateKey | dsa.DSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _encrypted(key: PrivateKey, form: PrivateFormat) -> bytes:
    return key.private_bytes(Encoding.PEM, form, serialization.BestAvailableEncryption(b"secret"))


def _wrong_modulus(keys: Keys) -> bytes:
    """Sound DER whose numbers do not belong together."""
    der = _der(keys.rsa, PrivateFormat.TraditionalOpenSSL)
    modulus = keys.rsa.private_numbers().public_numbers.n.to_bytes(256, "big")
    assert der.count(modulus) == 1
    return b64encode(der.replace(modulus, modulus[:-3] + bytes([modulus[-3] ^ 1]) + modulus[-2:]))


REFUSED: dict[str, tuple[Callable[[Keys], bytes], str]] = {
    "nothing": (lambda k: b"", "damaged, or not a private key"),
    "words": (lambda k: b"hello, world", "not a private key in PEM or base64"),
    "TXT record": (lambda k: b'mail._domainkey IN TXT "v=DKIM1; p=AAAA"', "not a private key"),
    "base64 of nothing": (lambda k: b64encode(b"x" * 40), "damaged, or not a private key"),
    "PKCS#8 encrypted": (lambda k: _encrypted(k.rsa, PrivateFormat.PKCS8), "is encrypted"),
    "PKCS#1 encrypted": (lambda k: _encrypted(k.rsa, PrivateFormat.TraditionalOpenSSL), "is encrypted"),
    "short": (lambda k: pem(k.short_rsa), "RSA key of 1024 bits, less than 2048"),
    "cut off": (lambda k: pem(k.rsa)[:-60], "the END line is missing"),
    "cut in the middle": (
        lambda k: b"-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n",
        "is damaged",
    ),
    "not base64": (
        lambda k: b"-----BEGIN PRIVATE KEY-----\n!?\n-----END PRIVATE KEY-----\n",
        "not a private key",
    ),
    "EC": (lambda k: _other_kind(ec.generate_private_key(ec.SECP256R1())), "kind that DKIM does not know"),
    "OpenSSH": (lambda k: pem(k.ed25519, PrivateFormat.OpenSSH), "OpenSSH key"),
    "public key": (
        lambda k: k.rsa.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "holds a PUBLIC KEY, not a private key",
    ),
    "halves that do not fit": (lambda k: b64encode(_raw(k.ed25519) + bytes(32)), "two halves do not fit"),
    "numbers that do not fit": (_wrong_modulus, "what it signs does not verify"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_refused(kind: str, keys: Keys) -> None:
    make, expected = REFUSED[kind]
    with pytest.raises(KeyFormatError) as caught:
        decode_private_key(make(keys), 2048)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_short_key_where_it_is_allowed(keys: Keys) -> None:
    assert public(decode_private_key(pem(keys.short_rsa), 1024)) == public(keys.short_rsa)


@given(st.binary(max_size=300) | st.binary(max_size=100).map(lambda b: b"-----BEGIN PRIVATE KEY-----" + b))
@settings(max_examples=200)
def test_any_octets_give_a_key_or_the_one_error(data: bytes) -> None:
    try:
        decode_private_key(data, 2048)
    except KeyFormatError:
        pass


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_any_damage_gives_a_key_or_the_one_error(keys: Keys, data: st.DataObject) -> None:
    der = bytearray(_der(keys.short_rsa, PrivateFormat.TraditionalOpenSSL))
    for _ in range(data.draw(st.integers(1, 4))):
        der[data.draw(st.integers(0, len(der) - 1))] = data.draw(st.integers(0, 255))
    try:
        key = decode_private_key(b64encode(bytes(der)), 512)
    except KeyFormatError:
        return
    # What is accepted signs: that was tried.
    assert key is not None
