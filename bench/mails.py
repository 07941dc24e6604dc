"""The messages that are sent: header fields and bodies as mail has them, and strangers' signatures."""

from __future__ import annotations

import base64
import random
import time
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Literal

from gatepost.dkim.sign import Signing, SigningPolicy
from gatepost.dkim.signing_key import SigningKey
from gatepost.message import HeaderField
from tests.harness.keys import KeyPair
from tests.harness.milter_client import Mail

Kind = Literal["text", "html", "base64"]

STRANGER = "192.0.2.10"
"""The client of incoming mail; SPF records name it."""

OUR_CLIENT = "127.0.0.1"
"""The client of our own users' mail: a content filter on the host itself."""

HELO = "mx.sender.example"
RECIPIENT = "anna@example.nl"

_WORDS = """\
the of and to in a is that for it as was with be by on not he his but at are this have from or
had an they which one you were all her she there would their we him been has when who will no
more if out so said what up its about than into them can only other new some could time these
two may then do first any my now such like our over man me even most made after also did many
before must through back years where much your way well down should because each just those
people how too little state good very make
"""
_UNIT = 64 * 1024


def body(kind: Kind, size: int) -> bytes:
    """A body of *size* octets: prose, HTML as programs write it, or an attachment in base64."""
    unit = _unit(kind)
    return (unit * (size // len(unit) + 1))[: size - 2] + b"\r\n"


@cache
def _unit(kind: Kind) -> bytes:
    chosen = random.Random(kind)
    if kind == "base64":
        octets = base64.b64encode(chosen.randbytes(_UNIT))
        lines = [octets[start : start + 76] for start in range(0, len(octets), 76)]
    elif kind == "html":
        lines = [line.encode() for line in _html(chosen)]
    else:
        lines = [line.encode() for line in _prose(chosen)]
    return b"".join(line + b"\r\n" for line in lines)


def _prose(chosen: random.Random) -> Iterator[str]:
    """Paragraphs of lines of up to 72 characters, one space between words, an empty line between paragraphs."""
    for _ in range(_UNIT // 400):
        line = ""
        for word in chosen.choices(_WORDS.split(), k=80):
            if len(line) + len(word) > 71:
                yield line
                line = ""
            line += f" {word}" if line else word
        yield f"{line}."
        yield ""


def _html(chosen: random.Random) -> Iterator[str]:
    """Nested elements, indented by spaces and by tabs, attributes in lines of their own."""
    for row in range(_UNIT // 500):
        yield f'            <tr class="row{row % 2}">'
        for _ in range(2):
            words = " ".join(chosen.choices(_WORDS.split(), k=8))
            yield f'                <td  style="padding: 0 8px;  font-size: 14px"   width="{row}">'
            yield f'\t\t\t\t<a href="https://www.sender.example/{row}?u={chosen.randrange(10**9)}"'
            yield f"                       title={words[:20]!r}>{words}</a>&nbsp; "
            yield "                </td>"
        yield "            </tr>"


def fields(domain: str, number: int, kind: Kind) -> list[HeaderField]:
    """The header of a message from *domain*: 17 fields, some of them folded."""
    content = {"text": "text/plain; charset=utf-8", "html": "text/html; charset=utf-8"}.get(
        kind, 'application/pdf;\n\tname="report.pdf"'
    )
    hops = [
        f"from host{hop}.{domain} (host{hop}.{domain} [198.51.100.{hop}])\n\tby mx{hop}.{domain} (Postfix)"
        f" with ESMTPS id 4GATE{number:06X}z{hop}\n\tfor <{RECIPIENT}>; Sat, 21 Nov 2026 10:00:0{hop} +0000"
        for hop in (3, 2, 1)
    ]
    told = [
        *(("Received", hop) for hop in hops),
        ("From", f"Friend {number} <friend{number}@{domain}>"),
        ("To", f"Anna <{RECIPIENT}>"),
        ("Reply-To", f"answers@{domain}"),
        ("Subject", f"Number {number}, a subject line of a usual length"),
        ("Date", "Sat, 21 Nov 2026 10:00:00 +0000"),
        ("Message-ID", f"<{number}.20261121100000@{domain}>"),
        ("In-Reply-To", f"<{number}.20261120@example.nl>"),
        ("References", f"<1.20261119@example.nl>\n\t<{number}.20261120@example.nl>"),
        ("MIME-Version", "1.0"),
        ("Content-Type", content),
        ("Content-Transfer-Encoding", "base64" if kind == "base64" else "8bit"),
        ("User-Agent", "Mail User Agent 1.0"),
        ("X-Mailer-Version", "1.0.1 (some words of a usual length)"),
        ("X-Priority", "3"),
    ]
    return [HeaderField(name.encode(), b" " + value.encode()) for name, value in told]


def plain(domain: str, number: int, kind: Kind = "text", size: int = 4096, client: str = STRANGER) -> Mail:
    """A message without a signature, and its envelope."""
    return Mail(
        headers=fields(domain, number, kind),
        body=_shared_body(kind, size),
        mail_from=f"friend{number}@{domain}".encode(),
        recipients=[RECIPIENT.encode()],
        client_name=HELO.encode(),
        client_address=client,
        helo=HELO.encode(),
        queue_id=f"4GATE{number:06X}z",
    )


def signed(key: KeyPair, domain: str, number: int, kind: Kind = "text", size: int = 4096) -> Mail:
    """A message with a relaxed/relaxed signature of *domain* by *key*'s private half."""
    mail = plain(domain, number, kind, size)
    signing = Signing(
        [HeaderField(*field) for field in mail.headers],
        [SigningKey(domain, key.selector, key.private)],
        SigningPolicy(),
        time.time() - 60,
    )
    signing.body(mail.body)
    [value] = signing.fields()
    mail.headers = [HeaderField(b"DKIM-Signature", b" " + value), *mail.headers]
    return mail


def many(keys: Sequence[KeyPair], count: int, kind: Kind = "text", size: int = 4096) -> list[Mail]:
    """Signed messages of the keys' domains in turn."""
    return [signed(keys[n % len(keys)], keys[n % len(keys)].domain, n, kind, size) for n in range(count)]


@cache
def _shared_body(kind: Kind, size: int) -> bytes:
    return body(kind, size)
