"""Making a private key, and the file that it lives in."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from gatepost.dkim.keys.keydata import PrivateKey

Owner = tuple[int, int]
"""The numbers of a user and a group."""

_EXPONENT = 65537


def make_rsa(bits: int) -> PrivateKey:
    """A new RSA key of *bits*; takes up to a second for 4096."""
    return generate_private_key(_EXPONENT, bits)


def make_ed25519() -> PrivateKey:
    """A new Ed25519 key (RFC 8463)."""
    return Ed25519PrivateKey.generate()


def pem(key: PrivateKey) -> bytes:
    """The key as PEM, PKCS#8 without a passphrase: what OpenDKIM and rspamd read too."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def write_key(
    path: Path, data: bytes, owner: Owner | None, *, shared: bool = False, replace: bool = False
) -> None:
    """Put *data* at *path*, mode 0600, in one step: there is never half a key.

    Missing directories are made, mode 0750. They and the file become *owner*'s
    where we are root; *shared*, mode 0640, lets the owner's group read the key.
    Raises FileExistsError unless *replace*, OSError for whatever else fails.
    """
    if not replace and os.path.lexists(path):
        raise FileExistsError(path)
    _make_directories(path.parent, owner)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "wb") as file:
            _give(descriptor, owner)
            if shared:
                os.fchmod(descriptor, 0o640)
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        if replace:
            os.replace(temporary, path)
        else:
            # Unlike a rename, a link never takes the place of a key that was made in the meantime.
            os.link(temporary, path)
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


def _make_directories(directory: Path, owner: Owner | None) -> None:
    missing = []
    while not directory.exists():
        missing.append(directory)
        directory = directory.parent
    for each in reversed(missing):
        each.mkdir(mode=0o750)
        _give(each, owner)


def _give(place: Path | int, owner: Owner | None) -> None:
    if owner is not None and os.geteuid() == 0:
        os.chown(place, *owner)
