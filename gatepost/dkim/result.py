"""What became of a signature: the verdict in RFC 8601's words, and the reason behind it."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Verdict(StrEnum):
    """The results of the method "dkim" (RFC 8601 §2.7.1)."""

    NONE = "none"
    """The message is not signed."""
    PASS = "pass"  # noqa: S105
    """The signature holds, and is acceptable."""
    FAIL = "fail"
    """The signature is well-formed and does not hold."""
    POLICY = "policy"
    """The signature may hold, but is not acceptable to us."""
    NEUTRAL = "neutral"
    """The signature cannot be judged."""
    TEMPERROR = "temperror"
    """A passing fault, of the DNS most likely: a later attempt may tell more."""
    PERMERROR = "permerror"
    """The signature, or its key, is broken for good."""


class Cause(StrEnum):
    """Which part of the signature decided; an operator's options (``on_fail`` …) go by it."""

    VERIFIED = "verified"
    MISMATCH = "mismatch"
    """Body or header differ from what was signed."""
    KEY_NOT_FOUND = "key not found"
    """No record where the key should be, or a revoked one."""
    DNS = "dns"
    """The DNS did not answer."""
    MALFORMED = "malformed"
    """The signature or the key record breaks its grammar."""
    SECURITY = "security"
    """Unsafe: weak key, forbidden algorithm, unsigned text or author."""
    TIME = "time"
    """Expired, or from the future."""


class SignatureResult(NamedTuple):
    """One signature's outcome.

    ``domain`` (d=), ``selector`` (s=), ``identity`` (i=, as written or implied)
    and ``algorithm`` (a=) are "" where the signature was too broken to tell.
    ``start`` is the beginning of b= (RFC 6008). ``testing`` is the key's t=y:
    such a signature must never count against the message (RFC 6376 §3.6.1).
    ``authentic`` says that DNSSEC vouches for the key. ``key_bits`` is 0 where
    no key was seen.
    """

    verdict: Verdict
    cause: Cause
    reason: str = ""
    domain: str = ""
    selector: str = ""
    identity: str = ""
    algorithm: str = ""
    start: str = ""
    key_bits: int = 0
    testing: bool = False
    authentic: bool = False
