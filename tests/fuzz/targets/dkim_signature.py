"""The DKIM-Signature field (``gatepost.dkim.signature``), and its own part in the hash.

- SignatureError and nothing else, its text printable; the domain, selector and algorithm that it names are clean.
- What is read is within its bounds: domains that the DNS can carry, i= within d=, names of h= with From.
- The hashed form of the field itself (b= cut out, relaxed) is the one that dkimpy makes.
"""

from __future__ import annotations

import re
from base64 import b64encode

from dkim import RE_BTAG
from dkim.canonicalization import Relaxed

from gatepost.dkim.canonical import relaxed, without_b
from gatepost.dkim.signature import (
    FOREVER,
    MAX_FIELD,
    MAX_SIGNED_FIELDS,
    Signature,
    SignatureError,
    parse_signature,
)
from gatepost.domains import to_ascii
from gatepost.message import HeaderField
from tests.fuzz.told import check_told

_COMMON = b" v=1; a=rsa-sha256; c=relaxed/simple; d=example.nl; s=mail; h=from:to:subject;\n\tbh=AAAA; b=QUJD\n\tREVG"
SEEDS = (
    _COMMON,
    _COMMON + b"; i=@mail.example.nl; t=1700000000; x=1700000001; l=10; q=dns/txt; z=x",
    _COMMON.replace(b"rsa-sha256", b"ed25519-sha256").replace(b"; c=relaxed/simple", b""),
    _COMMON.replace(b"d=example.nl", "d=m\u00fcller.example; i=a\u00fc=40b@m\u00fcller.example".encode()),
    _COMMON.replace(b"b=QUJD", b" b = QUJD=") + b" ;",
    _COMMON.replace(b"bh=", b"bb=x; bh=").replace(b"h=from", b"h=b : from"),
    b"v=1; b=; bh=; d=.; s=-; h=:; a=x",
)
WORDS = (
    b"; b=", b"; bh=", b"; i=", b"; d=", b"; l=", b"; t=", b"; x=", b"; q=dns/txt", b"=40", b"=20", b"from:",
    b"\n\t", b"simple/relaxed", b"ed25519-sha256", b"xn--mller-kva", b"\xe3\x80\x82", b"@",
)  # fmt: skip

_DOMAIN = re.compile(r"[a-z0-9_.-]{0,253}")
_NAME = re.compile(rb"[!-9<-~]+")


def check(data: bytes) -> None:
    try:
        signature = parse_signature(data)
    except SignatureError as error:
        check_told(error)
        named = (error.domain, error.selector, error.algorithm)
        assert all(_DOMAIN.fullmatch(each) for each in named)
        return
    _bounded(data, signature)
    _hashed_as_theirs(data)


def _bounded(data: bytes, signature: Signature) -> None:
    assert len(data) <= MAX_FIELD
    for name in (signature.domain, signature.selector, signature.identity_domain):
        assert to_ascii(name) == name
    assert f".{signature.identity_domain}".endswith(f".{signature.domain}")
    assert signature.identity.endswith(f"@{signature.identity_domain}")
    assert 0 < len(signature.signed) <= MAX_SIGNED_FIELDS
    assert b"from" in signature.signed
    assert all(_NAME.fullmatch(name) and name == name.lower() for name in signature.signed)
    assert signature.signature
    assert signature.body_hash
    # The last four characters may leave bits open.
    assert b64encode(signature.signature).decode().startswith(signature.start[:-4])
    for number in (signature.timestamp, signature.expiration):
        assert number is None or 0 <= number <= FOREVER
    if signature.timestamp is not None and signature.expiration is not None:
        assert signature.timestamp < signature.expiration


def _hashed_as_theirs(data: bytes) -> None:
    emptied = without_b(data)
    assert without_b(emptied) == emptied
    # Not what an MTA hands over; and they leave the white space behind the value of b=, and take a "b=" behind
    # white space within another tag for the tag.
    if re.search(rb"[\r\x0b\x0c]|\n(?![ \t])|\s;", data) or len(RE_BTAG.findall(data)) > 1:
        return
    ((name, theirs),) = Relaxed.canonicalize_headers([(b"DKIM-Signature", RE_BTAG.sub(rb"\1", data))])
    assert relaxed(HeaderField(b"DKIM-Signature", emptied)) == name + b":" + theirs
