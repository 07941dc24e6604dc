"""A key that signs."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey


class KeyUnavailableError(Exception):
    """There is a key for this sender, but it cannot be used now; the text says which and why."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One private key with what goes into the signature (RFC 6376 §3.5).

    ``domain`` is d=, ``selector`` is s=, both as A-labels in lower case.
    ``identity`` is i=, or "" for none.
    """

    domain: str
    selector: str
    private: RSAPrivateKey | Ed25519PrivateKey
    identity: str = ""

    @property
    def algorithm(self) -> str:
        """The value of a= that this key makes (RFC 8301, RFC 8463)."""
        return "rsa-sha256" if isinstance(self.private, RSAPrivateKey) else "ed25519-sha256"
