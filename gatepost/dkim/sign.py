"""The signer (RFC 6376 §5): one or more signatures for one message, made while the message streams by.

Use: make a :class:`Signing` from the header and the keys, give the chunks to
``body``, then ask for ``fields``. Neither l= nor z= is ever made: the first
leaves text unsigned, the second copies header fields that were private.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from dkim import fold

from gatepost.dkim.body import BodyHasher
from gatepost.dkim.canonical import HeaderIndex
from gatepost.dkim.signing_key import SigningKey
from gatepost.dkim.verify import header_digest
from gatepost.message import HeaderField, Places

_PKCS1 = PKCS1v15()
_SHA256 = Prehashed(SHA256())

DEFAULT_HEADERS = (
    "From", "Sender", "Reply-To", "To", "Cc", "Subject", "Date", "Message-ID", "In-Reply-To", "References",
    "MIME-Version", "Content-Type", "Content-Transfer-Encoding", "Resent-Date", "Resent-From",
    "Resent-Sender", "Resent-To", "Resent-Cc", "Resent-Message-ID",
)  # fmt: skip
"""What is signed where present (§5.4.1), less List-*: a list that a message passes may write those anew."""

DEFAULT_OVERSIGN = (
    "From", "To", "Cc", "Subject", "Date", "Message-ID", "Reply-To", "Sender", "MIME-Version", "Content-Type",
    "Content-Transfer-Encoding", "In-Reply-To", "References",
)  # fmt: skip
"""What is signed once more than it occurs (§8.15), present or not."""

NEVER_SIGNED = frozenset((b"received", b"return-path", b"authentication-results", b"dkim-signature"))
"""Fields that change on the way or that a signature would break itself with (§5.4, §5.4.2)."""


class SigningError(ValueError):
    """The message cannot be signed; the text says why."""


@dataclass(frozen=True, slots=True)
class SigningPolicy:
    """How signatures are made. Field names are as they shall stand in h=; ``ttl`` is in seconds (x=).

    ``candidates`` are the names that may stand there, with their lower case,
    and how much oftener each is signed than it occurs.
    """

    header_canonicalization: str = "relaxed"
    body_canonicalization: str = "relaxed"
    headers: tuple[str, ...] = DEFAULT_HEADERS
    oversign: tuple[str, ...] = DEFAULT_OVERSIGN
    ttl: float | None = None
    candidates: tuple[tuple[str, bytes, int], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        oversigned = {name.lower() for name in self.oversign}
        names: dict[str, str] = {}
        for name in (*self.headers, *self.oversign):
            names.setdefault(name.lower(), name)
        candidates = tuple(
            (name, key.encode("ascii"), int(key in oversigned))
            for key, name in names.items()
            if key.encode("ascii") not in NEVER_SIGNED
        )
        object.__setattr__(self, "candidates", candidates)


class Signing:
    """The signatures of one message. ``now`` is the time in seconds since 1970, which becomes t=.

    ``places`` are those of ``headers``, where they are known already.
    Raises SigningError where there is no From field.
    """

    def __init__(
        self,
        headers: Sequence[HeaderField],
        keys: Sequence[SigningKey],
        policy: SigningPolicy,
        now: float,
        places: Places | None = None,
    ) -> None:
        self._keys = keys
        self._policy = policy
        self._now = int(now)
        self._index = HeaderIndex(headers, places)
        if not self._index.count(b"from"):
            raise SigningError("no From field")
        self._signed, self._names = _named(tuple(self._chosen()))
        self._hasher = BodyHasher()
        self._digest = self._hasher.digest(policy.body_canonicalization)

    def body(self, chunk: bytes) -> None:
        """Take the next octets of the body, cut anywhere."""
        self._hasher.update(chunk)

    def fields(self) -> list[bytes]:
        """The values of the DKIM-Signature fields, one a key, without the leading space; folds are LF."""
        self._hasher.finish()
        body_hash = b64encode(self._digest.digest())
        return [self._field(key, body_hash) for key in self._keys]

    def _chosen(self) -> Iterator[str]:
        """The names of h=: each field as often as it occurs, and once more where it is oversigned."""
        count = self._index.count
        for name, key, more in self._policy.candidates:
            for _ in range(count(key) + more):
                yield name

    def _field(self, key: SigningKey, body_hash: bytes) -> bytes:
        policy = self._policy
        lines = [
            f"v=1; a={key.algorithm}; c={policy.header_canonicalization}/{policy.body_canonicalization};",
            f"\td={key.domain}; s={key.selector}; t={self._now};",
        ]
        if policy.ttl is not None:
            lines[1] += f" x={self._now + int(policy.ttl)};"
        if key.identity:
            lines.append(f"\ti={_quoted(key.identity)};")
        lines.append(self._names)
        unsigned = "\n".join(lines).encode("ascii") + b"\n\tbh=" + body_hash + b";\n\tb="
        # The space is what the MTA puts behind the colon; under "simple" it counts.
        own = HeaderField(b"DKIM-Signature", b" " + unsigned)
        digest = header_digest(self._index, own, self._signed, policy.header_canonicalization)
        return unsigned + bytes(fold(b64encode(sign_digest(key.private, digest)), namelen=3, linesep=b"\n\t"))


def sign_digest(key: RSAPrivateKey | Ed25519PrivateKey, digest: bytes) -> bytes:
    """The signature over a SHA-256 *digest* (RFC 8301: rsa-sha256; RFC 8463 §3: ed25519-sha256)."""
    if isinstance(key, RSAPrivateKey):
        return key.sign(digest, _PKCS1, _SHA256)
    return key.sign(digest)


@lru_cache(maxsize=256)
def _named(names: tuple[str, ...]) -> tuple[tuple[bytes, ...], str]:
    """What *names* are to the hash, in lower case, and to the field: h=. Most mail has the same ones."""
    return tuple(name.lower().encode("ascii") for name in names), "\n".join(_folded_names(names))


def _folded_names(names: Sequence[str]) -> list[str]:
    """h= in lines of at most 76 characters, cut behind colons only."""
    lines, line = [], "\th="
    for place, name in enumerate(names):
        word = name + (":" if place < len(names) - 1 else ";")
        if len(line) + len(word) > 76:
            lines.append(line)
            line = "\t "
        line += word
    return [*lines, line]


def _quoted(identity: str) -> str:
    """*identity* in dkim-quoted-printable (§2.11)."""
    return "".join(
        chr(octet) if 0x21 <= octet <= 0x7E and octet not in b";=" else f"={octet:02X}"
        for octet in identity.encode("utf-8")
    )
