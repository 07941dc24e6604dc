"""The key record as its owner publishes it (RFC 6376 §3.6.1, RFC 8463 §4), in the forms that DNS software takes."""

from __future__ import annotations

from base64 import b64encode

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gatepost.dkim.record import PublicKey

STRING_OCTETS = 255
"""The most octets of one string of a TXT record (RFC 1035 §3.3)."""

TTL = 3600
"""Seconds for which a new record may be kept, where a form has to name them."""


def record_name(domain: str, selector: str) -> str:
    """Where the record of a key stands (§3.6.2.1), without the final dot."""
    return f"{selector}._domainkey.{domain}"


def public_text(key: PublicKey) -> str:
    """The value of p=: base64 of SubjectPublicKeyInfo for RSA, of the 32 octets for Ed25519 (RFC 8463 §4.2)."""
    if isinstance(key, Ed25519PublicKey):
        octets = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    else:
        octets = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return b64encode(octets).decode("ascii")


def key_type(key: PublicKey) -> str:
    """The value of k=."""
    return "ed25519" if isinstance(key, Ed25519PublicKey) else "rsa"


def record_text(key: PublicKey, *, testing: bool = False) -> str:
    """The whole record, one line; *testing* asks verifiers to treat signed mail as unsigned (t=y)."""
    flags = "t=y; " if testing else ""
    return f"v=DKIM1; k={key_type(key)}; {flags}p={public_text(key)}"


def strings(text: str) -> list[str]:
    """*text*, ASCII, in pieces that fit into the strings of a TXT record."""
    return [text[start : start + STRING_OCTETS] for start in range(0, len(text), STRING_OCTETS)] or [""]


def quoted_strings(text: str) -> str:
    """*text* as the quoted strings of a zone file, on one line."""
    return " ".join(map(_quoted, strings(text)))


def bind(name: str, text: str) -> str:
    """A TXT record as in a zone file (RFC 1035 §5.1), a string a line."""
    pieces = list(map(_quoted, strings(text)))
    if len(pieces) == 1:
        return f"{name}. IN TXT {pieces[0]}"
    inner = "\n".join(f"    {piece}" for piece in pieces)
    return f"{name}. IN TXT (\n{inner}\n)"


def nsupdate(name: str, text: str) -> str:
    """The lines for nsupdate(1) that put a TXT record in the place of those that are there (RFC 2136)."""
    return f"update delete {name}. TXT\nupdate add {name}. {TTL} TXT {quoted_strings(text)}\nsend"


def _quoted(piece: str) -> str:
    return '"' + piece.replace("\\", "\\\\").replace('"', '\\"') + '"'
