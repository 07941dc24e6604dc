"""Header canonicalisation, and the choice of fields that h= names (``gatepost.dkim.canonical``).

- The relaxed form is dkimpy's, has no line end but its last and no run of white space, and is its own relaxed form;
  what is no white space stays.
- The simple form is the field as it stands, folds as CRLF.
- The fields chosen are those that dkimpy chooses, each instance once at most, from the bottom up.
"""

from __future__ import annotations

import re

from dkim import select_headers
from dkim.canonicalization import Relaxed

from gatepost.dkim.canonical import HeaderIndex, relaxed, simple
from gatepost.message import HeaderField
from tests.fuzz.tape import Tape, counted

_NAMES = (b"From", b"to", b"X-A", b"x-a ", b"Received", b"FROM\t", b"Subject", b"b")


def _seed(names: bytes, *fields: tuple[int, bytes]) -> bytes:
    return bytes([len(names)]) + names + b"".join(bytes([name]) + counted(value) for name, value in fields)


SEEDS = (
    _seed(b"\0\1\6", (0, b" Anna <anna@example.nl>"), (1, b" b@example.org"), (6, b" a  word\n\tor two ")),
    _seed(b"\0\0\0", (0, b" a"), (5, b" b"), (0, b" c")),
    _seed(b"\2\3\2\4", (2, b" x\r\n y"), (3, b"\x0b \x0c"), (4, b""), (4, b" \n\t\n ")),
    _seed(b"\6", (6, b"\r \xff\x00")),
)
WORDS = (b"\n\t", b"\r\n ", b"  ", b"\x0b", b"\x0c", b"\r", b"\t", b":")


def check(data: bytes) -> None:
    tape = Tape(data)
    wanted = [_NAMES[tape.number(len(_NAMES))].strip().lower() for _ in range(tape.number(16))]
    fields: list[HeaderField] = []
    while tape and len(fields) < 64:
        fields.append(HeaderField(_NAMES[tape.number(len(_NAMES))], tape.octets()))
    for field in fields:
        _check_forms(field)
    index = HeaderIndex(fields)
    plain = [(name.strip(), value) for name, value in fields]
    chosen = select_headers(plain, wanted)
    for form, canonicalize in (("simple", simple), ("relaxed", relaxed)):
        ours = list(index.select(wanted, form))
        assert [line.partition(b":")[2] for line in ours] == [
            canonicalize(HeaderField(*field)).partition(b":")[2] for field in chosen
        ]
    for name in set(wanted):
        assert index.count(name) == sum(name == other.lower() for other, _ in plain)


def _check_forms(field: HeaderField) -> None:
    line = simple(field)
    assert line.startswith(field.name + b":")
    assert line.endswith(b"\r\n")
    assert re.sub(rb"\r*\n", b"\n", line[:-2]) == re.sub(rb"\r*\n", b"\n", field.name + b":" + field.value)
    line = relaxed(field)
    assert line.endswith(b"\r\n")
    name, _, value = line[:-2].partition(b":")
    assert name == field.name.lower().rstrip()
    assert b"\n" not in value
    assert b"  " not in value
    assert b"\t" not in value
    assert value == value.strip(b" ")
    assert value.replace(b" ", b"") == re.sub(rb"\r?\n|[ \t]", b"", field.value)
    assert relaxed(HeaderField(name, value)) == line
    ((_, theirs),) = Relaxed.canonicalize_headers([(b"X", field.value)])
    # What is no fold, and what is white space to Python alone, they treat as they like; no MTA hands it over.
    if not re.search(rb"\r(?!\n)|\n(?![ \t])|[\x0b\x0c]", field.value):
        assert value + b"\r\n" == theirs
