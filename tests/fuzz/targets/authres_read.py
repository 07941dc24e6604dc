"""Authentication-Results, read (``gatepost.authres.read``) and written again (``gatepost.authres.write``).

- ARParseError with a printable reason, and nothing else; nothing longer than the limit is read.
- Methods, results and property names are keywords in lower case; no value holds a control character.
- What is written of it is read as itself, and refolding it makes no difference.
- Where the package authres reads the field too, it finds no result that we do not: a result that only one reader
  sees is how one is forged.
"""

from __future__ import annotations

import re

import authres

from gatepost.authres.read import MAX_LENGTH, ARParseError, Parsed, read
from gatepost.authres.result import Result
from gatepost.authres.write import format_value
from tests.fuzz.told import check_told

SEEDS = (
    b" mail.example.nl;\n\tdkim=pass (2048-bit key) header.d=example.com header.i=@example.com header.b=ab/cd+e=",
    b" a.nl 1; spf=pass (x \\) y) smtp.mailfrom=a@b.nl; dmarc=fail (p=reject) header.from=b.nl policy.dmarc=reject",
    b'"a.nl"; spf=fail reason="not \\"you\\"" smtp.helo="x; dmarc=pass" smtp.mailfrom="a b"@c.nl',
    b"spf=pass smtp.mailfrom=example.com; dmarc=pass action=none header.from=b.nl;compauth=pass reason=100",
    b"(a) a.nl (b) 1 (c); (d) none (e); (f)",
    b"a.nl (x) 1 (y);\n dkim (z) / 1 (o) = (w) fail policy (t) . (l) expired (s) = (a) 1",
    b"a.nl; dkim/2=pass; spf=none smtp.mailfrom=<>; x=y",
    "a.nl; spf=pass smtp.mailfrom=m\u00fc@c.nl (\u00fc)".encode(),
    b"a.nl; dkim=pass header.d=legit.com(.evil.com)",
)
WORDS = (
    b"; ", b"dkim=pass", b" header.d=", b" smtp.mailfrom=", b"reason=", b"(", b")", b'"', b"\\", b"\n\t", b"none",
    b"/1", b"<", b">", b"@", b"dmarc=pass", b" header.from=", b"policy.",
)  # fmt: skip

_KEYWORD = re.compile(r"[a-z0-9][a-z0-9_-]*")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")


def check(data: bytes) -> None:
    try:
        parsed = read(data)
    except ARParseError as error:
        check_told(error)
        return
    assert len(data) <= MAX_LENGTH
    assert not _CONTROL.search(parsed.authserv_id)
    for result in parsed.results:
        _check_result(result)
    folded = data.replace(b" ", b"\n ")
    if b"\n" not in data and b"\r" not in data and len(folded) <= MAX_LENGTH:
        assert read(folded) == parsed
    _check_writing(parsed)
    _as_others_see_it(data, parsed)


def _check_result(result: Result) -> None:
    assert _KEYWORD.fullmatch(result.method)
    assert _KEYWORD.fullmatch(result.result)
    assert not _CONTROL.search(result.reason + result.comment)
    for each in result.properties:
        assert not each.ptype or _KEYWORD.fullmatch(each.ptype)
        assert all(_KEYWORD.fullmatch(part) for part in each.name.split("."))
        assert not _CONTROL.search(each.value)


def _check_writing(parsed: Parsed) -> None:
    """What the writer leaves out or bends once, it leaves alone the second time."""
    for fold in (True, False):
        try:
            written = format_value("a.nl", parsed.results, fold=fold)
        except ValueError:
            # Words with an underscore, or a hyphen at their end, are read and not written.
            words = [word for result in parsed.results for word in (result.method, result.result)]
            assert any("_" in word or word.endswith("-") for word in words)
            return
        assert "=?" not in written  # of an encoded word (RFC 2047), which some readers decode first
        again = read_long(written)
        assert [(each.method, each.result) for each in again.results] == [
            (each.method, each.result) for each in parsed.results
        ]
        assert format_value("a.nl", again.results, fold=fold) == written


def read_long(written: str) -> Parsed:
    """What was written of a field may be longer than what is read of one."""
    octets = written.encode()
    if len(octets) <= MAX_LENGTH:
        return read(octets)
    results: list[Result] = []
    for part in re.split(r";(?=[ \n])", written)[1:]:
        results += read(f"a.nl; {part.strip()}".encode()).results
    return Parsed("a.nl", tuple(results))


def _as_others_see_it(data: bytes, parsed: Parsed) -> None:
    # Quotes and comments are where they go wrong, and they do not look at the version of a method.
    if not data.isascii() or re.search(rb'[\\()"<>/]', data):
        return
    try:
        theirs = authres.AuthenticationResultsHeader.parse(
            "Authentication-Results: " + data.decode().replace("\n", "")
        )
    except (authres.core.AuthResError, RecursionError, ValueError):
        return
    if theirs.authserv_id is None or theirs.authserv_id.lower() != parsed.authserv_id.lower():
        return
    ours = [(result.method, result.result) for result in parsed.results]
    for each in theirs.results:
        if each.result is not None:
            assert (each.method.lower(), each.result.lower()) in ours
