"""Which fields claim to be ours (``gatepost.authres.strip``).

- Nothing is raised.
- Whatever a reader takes for ours is a claim: our own reader, the package authres, and the crudest of all, which
  drops comments and white space and looks at what stands in front of the first semicolon.
- A field that we write ourselves is a claim under any alias and in any case; a plain foreign one is none.
"""

from __future__ import annotations

import authres

from gatepost.authres.read import ARParseError, read
from gatepost.authres.strip import Ids, claims

SEEDS = (
    b"mail.example.nl; dkim=pass",
    b" (comment (nested) \\) ) Mail.Example.NL. 1; none",
    b'"mail.example.nl"; spf=pass',
    "mail.\u00fcxample.nl; dkim=pass".encode(),
    b"mx.xn--mller-kva.example; x=y",
    b"\n\tmail.\n example.nl; x=y",
    b"mail. (x) example.nl; x=y",
    b"other.example; dkim=pass; mail.example.nl; spf=pass",
    b"mail\\.example.nl; x=y",
    b"",
    b"(",
)
WORDS = (
    b"mail.example.nl", b"mx.xn--mller-kva.example", "mx.m\u00fcller.example".encode(), b"; dkim=pass", b"(", b")",
    b'"', b"\\", b"\n\t", b"\r\n ", b".", b" 1", b"\xef\xbd\x8d", b"\xe3\x80\x82", b"\0",
)  # fmt: skip

_IDS = Ids("mail.example.nl", ["mx.m\u00fcller.example"])


def check(data: bytes) -> None:
    claim = claims(data, _IDS)
    if any(claimed.casefold() in _OURS for claimed in _readings(data)):
        assert claim
    assert claims(b"MAIL.example.nl" + b"; " + data, _IDS)
    assert claims("mx.M\u00fcller.example. ".encode() + data, _IDS) or data[:1] == b""
    assert not claims(b"other.example.org; " + data, _IDS)


_OURS = ("mail.example.nl", "mail.example.nl.", "mx.m\u00fcller.example", "mx.xn--mller-kva.example")


def _readings(data: bytes) -> list[str]:
    """The authserv-ids that readers could find."""
    found = []
    try:
        found.append(read(data).authserv_id)
    except ARParseError:
        pass
    text = data.decode("utf-8", "replace")
    try:
        header = authres.AuthenticationResultsHeader.parse(
            "Authentication-Results: " + text.replace("\n", "")
        )
        found.append(header.authserv_id or "")
    except Exception:
        pass
    head = text.partition(";")[0]
    if not set(head) & set('()"\\'):
        found.append("".join(head.split()))
        found += head.split()[:1]
    return found
