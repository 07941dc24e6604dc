"""Tag lists (``gatepost.dkim.taglist``).

- TagListError, its text of our own words, and nothing else; nothing longer than the limit is read.
- Each part of the list is a tag: none is lost, none stands twice.
- Names are tag names, values hold no control characters and no semicolon, and the list written again is the same.
- dkimpy reads the same tags, wherever it takes the list at all.
"""

from __future__ import annotations

import re

from dkim.util import InvalidTagValueList, parse_tag_value

from gatepost.dkim.taglist import TagListError, parse, squeezed
from tests.fuzz.told import check_told

LIMIT = 4096
SEEDS = (
    b"v=1; a=rsa-sha256; d=example.nl; s=mail; h=from:to; bh=AAAA; b=AAAA",
    b"v=DKIM1; k=rsa; t=y:s; p=MIIB\n\tIjAN ;",
    b" a = b ;\r\n\tc=d; e=; f==;",
    b"a=1; a=2",
    b"; ;",
    b"1a=b",
    b"a=\x00",
    b"n=caf\xc3\xa9",
    b"",
)
WORDS = (b"; ", b"=", b"\n\t", b"\r\n ", b"v=1", b"\x0b")

_NAME = re.compile(rb"[A-Za-z][A-Za-z0-9_]*")


def check(data: bytes) -> None:
    try:
        tags = parse(data, LIMIT)
    except TagListError as error:
        check_told(error)
        return
    assert len(data) <= LIMIT
    assert len(tags) == (data.strip().removesuffix(b";").count(b";") + 1 if data.strip() else 0)
    for name, value in tags.items():
        assert _NAME.fullmatch(name)
        assert not set(value) & {0x3B, 0x7F, *(set(range(32)) - {9})}
        assert value == value.strip()
        assert squeezed(squeezed(value)) == squeezed(value)
    written = b"; ".join(name + b"=" + value for name, value in tags.items())
    assert parse(written, len(written)) == tags
    # A fold that is none (a line end without white space behind it) is not theirs to read.
    if re.search(rb"\r(?!\n)|\n(?![ \t])", data):
        return
    try:
        theirs = parse_tag_value(data)
    except InvalidTagValueList:
        # They want something in front of every semicolon, and take no white space before the last.
        return
    unfolded = {
        name: value.replace(b"\r\n", b"").replace(b"\n", b"").strip() for name, value in theirs.items()
    }
    assert unfolded == tags
