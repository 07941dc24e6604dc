"""The DKIM-Signature field, read (RFC 6376 §3.5, §6.1.1)."""

from __future__ import annotations

import re
from binascii import Error as Base64Error
from binascii import a2b_base64
from functools import lru_cache
from typing import NamedTuple

from gatepost.dkim import taglist
from gatepost.domains import to_ascii

MAX_FIELD = 32 * 1024
"""Octets of a DKIM-Signature field that are read; longer ones are malformed to us."""
MAX_SIGNED_FIELDS = 256
"""Names that h= may hold: a signer that names more costs more than it proves."""

_REQUIRED = (b"v", b"a", b"b", b"bh", b"d", b"h", b"s")
_HEADER_NAMES = re.compile(rb"[!-9<-~]+(?:[ \t]*:[ \t]*[!-9<-~]+)*")
# sub-domain *("." sub-domain) of RFC 5321, with "_" as selectors and some domains have it.
_DOMAIN = re.compile(
    r"(?!.{254})[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*"
)
_LONGEST_DOMAIN = 4 * 1024  # octets: no name is longer, with UTF-8 and characters that mapping takes out
_ALGORITHMS = ("rsa-sha256", "ed25519-sha256", "rsa-sha1")
_ALGORITHM = re.compile(r"[a-z0-9-]{1,40}")
_CANONICALIZATIONS = {
    b"relaxed/relaxed": ("relaxed", "relaxed"),
    b"relaxed/simple": ("relaxed", "simple"),
    b"simple/relaxed": ("simple", "relaxed"),
    b"simple/simple": ("simple", "simple"),
    # The body is simple where nothing is said of it (§3.5, c=).
    b"relaxed": ("relaxed", "simple"),
    b"simple": ("simple", "simple"),
}
_QUOTED = re.compile(rb"=([0-9A-Fa-f]{2})")
# "To avoid certain DoS attacks, more than 12 digits may be considered infinite" (§3.5, x=).
FOREVER = 10**12


class SignatureError(ValueError):
    """The field is no signature that could be verified; the text says why.

    ``domain``, ``selector`` and ``algorithm`` are what could be read, else "".
    """

    def __init__(self, reason: str, domain: str = "", selector: str = "", algorithm: str = "") -> None:
        super().__init__(reason)
        self.domain, self.selector, self.algorithm = domain, selector, algorithm


class Signature(NamedTuple):
    """A well-formed signature.

    ``domain``, ``selector`` and ``identity_domain`` are A-labels in lower case;
    ``identity`` is i= as text, "@domain" where the field has none. ``signed``
    are the names of h=, in lower case and order. ``timestamp`` (t=) and
    ``expiration`` (x=) are seconds since 1970, None where absent. ``length`` is
    l= in octets, None where the whole body is signed.
    """

    algorithm: str
    signature: bytes
    start: str
    body_hash: bytes
    header_canonicalization: str
    body_canonicalization: str
    domain: str
    selector: str
    identity: str
    identity_domain: str
    signed: tuple[bytes, ...]
    timestamp: int | None
    expiration: int | None
    length: int | None

    @property
    def key_name(self) -> str:
        """Where the public key lies in the DNS (§3.6.2.1)."""
        return f"{self.selector}._domainkey.{self.domain}"


def parse_signature(value: bytes) -> Signature:
    """Read the value of a DKIM-Signature field. Raises SignatureError for what is none."""
    try:
        tags = taglist.parse(value, MAX_FIELD)
    except taglist.TagListError as error:
        raise SignatureError(str(error)) from None
    domain, selector, algorithm = _tell(tags)
    try:
        return _build(tags, domain, selector, algorithm)
    except ValueError as error:
        raise SignatureError(str(error), domain, selector, algorithm) from None


def _tell(tags: dict[bytes, bytes]) -> tuple[str, str, str]:
    """d=, s= and a= as far as they can be read: a broken signature is still reported by name."""
    algorithm = tags.get(b"a", b"").decode("latin-1").lower()
    return (
        _domain(tags.get(b"d", b"")),
        _domain(tags.get(b"s", b"")),
        algorithm if algorithm in _ALGORITHMS or _ALGORITHM.fullmatch(algorithm) else "",
    )


def _domain(value: bytes) -> str:
    """A domain or selector as A-labels in lower case; "" for what is none."""
    return _read_domain(value) if len(value) <= _LONGEST_DOMAIN else ""


@lru_cache(maxsize=1024)
def _read_domain(value: bytes) -> str:
    try:
        text = value.decode("ascii").lower() if value.isascii() else to_ascii(value.decode("utf-8"))
    except ValueError:
        return ""
    return text if _DOMAIN.fullmatch(text) else ""


def _build(tags: dict[bytes, bytes], domain: str, selector: str, algorithm: str) -> Signature:
    for name in _REQUIRED:
        if name not in tags:
            raise ValueError(f"no {name.decode()}=")
    if tags[b"v"] != b"1":
        raise ValueError("unknown version")
    if not domain:
        raise ValueError("d= is no domain")
    if not selector:
        raise ValueError("s= is no selector")
    if algorithm not in _ALGORITHMS:
        raise ValueError("unknown algorithm")
    if b"q" in tags and b"dns/txt" not in [method.strip().lower() for method in tags[b"q"].split(b":")]:
        raise ValueError("unknown query method")
    header_form, body_form = _canonicalizations(tags.get(b"c", b"simple/simple"))
    identity, identity_domain = _identity(tags.get(b"i"), domain)
    signature = taglist.squeezed(tags[b"b"])
    timestamp, expiration = _number(tags, b"t"), _number(tags, b"x")
    if timestamp is not None and expiration is not None and expiration <= timestamp:
        raise ValueError("x= is not after t=")
    return Signature(
        algorithm=algorithm,
        signature=_base64(signature, "b"),
        start=signature[:64].decode("ascii"),
        body_hash=_base64(taglist.squeezed(tags[b"bh"]), "bh"),
        header_canonicalization=header_form,
        body_canonicalization=body_form,
        domain=domain,
        selector=selector,
        identity=identity,
        identity_domain=identity_domain,
        signed=_signed(tags[b"h"]),
        timestamp=timestamp,
        expiration=expiration,
        length=_length(tags),
    )


def _base64(value: bytes, tag: str) -> bytes:
    try:
        octets = a2b_base64(value, strict_mode=True)
    except Base64Error:
        octets = b""
    # Behind a whole group, some Pythons take any number of "=" (§2.10 has two at most).
    if not octets or len(value) % 4 or value.endswith(b"==="):
        raise ValueError(f"{tag}= is not base64")
    return octets


def _canonicalizations(value: bytes) -> tuple[str, str]:
    forms = _CANONICALIZATIONS.get(value.lower())
    if forms is None:
        raise ValueError("unknown canonicalization")
    return forms


def _identity(value: bytes | None, domain: str) -> tuple[str, str]:
    if value is None:
        return f"@{domain}", domain
    # dkim-quoted-printable (§2.11): white space within it means nothing.
    octets = _QUOTED.sub(lambda match: bytes([int(match[1], 16)]), taglist.squeezed(value))
    local, at, host = octets.rpartition(b"@")
    identity_domain = _domain(host)
    if not at or not identity_domain:
        raise ValueError("i= is no identity")
    if identity_domain != domain and not identity_domain.endswith("." + domain):
        raise ValueError("i= is not within d=")
    return f"{local.decode('utf-8', 'replace')}@{identity_domain}", identity_domain


def _signed(value: bytes) -> tuple[bytes, ...]:
    # What a mail program or a provider signs is always the same.
    return _read_short_list(value) if len(value) <= 512 else _read_list(value)


def _read_list(value: bytes) -> tuple[bytes, ...]:
    if value.count(b":") >= MAX_SIGNED_FIELDS:
        raise ValueError(f"h= names more than {MAX_SIGNED_FIELDS} fields")
    if not _HEADER_NAMES.fullmatch(value):
        raise ValueError("h= is no list of field names")
    names = tuple(name.strip(b" \t") for name in value.lower().split(b":"))
    if b"from" not in names:
        raise ValueError("h= lacks From")
    return names


_read_short_list = lru_cache(maxsize=512)(_read_list)


def _number(tags: dict[bytes, bytes], name: bytes) -> int | None:
    value = tags.get(name)
    if value is None:
        return None
    if not value.isdigit():
        raise ValueError(f"{name.decode()}= is no number")
    return int(value) if len(value) <= 12 else FOREVER


def _length(tags: dict[bytes, bytes]) -> int | None:
    value = tags.get(b"l")
    if value is None:
        return None
    if not value.isdigit() or len(value) > 76:
        raise ValueError("l= is no number")
    return int(value)
