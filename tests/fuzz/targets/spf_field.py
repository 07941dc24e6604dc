"""The sealed SPF field of the policy service (``gatepost.authres.spf_field``, ``seal``).

- Any octets state somebody or nobody, have a seal or none, and lose it; nothing is raised, and none has a good seal.
- Whatever a client says, the field that is written of it is one line, at most so long, states just that, and its
  seal is good for that subject, under that secret and now: not for another subject, secret, or time.
- Folding it anywhere does not break the seal; taking the seal off leaves what was sealed.
"""

from __future__ import annotations

import re

from gatepost.authres.read import read
from gatepost.authres.result import Property, Result
from gatepost.authres.seal import Sealer, without_seal
from gatepost.authres.spf_field import LONGEST_VALUE, Stated, stated, write_spf_field
from gatepost.authres.strip import Ids, claims
from tests.fuzz.tape import Tape, counted

NOW = 1_700_000_000.0
_SEALER, _OTHER = Sealer(bytes(32), 3600.0), Sealer(b"x" * 32, 3600.0)
_IDS = Ids("mail.example.nl")
_ADDRESSES = ("192.0.2.10", "2001:db8::1", "::ffff:192.0.2.1", "unknown", "", "fe80::1%eth0")
_FIELD = (
    b"mail.example.nl; spf=pass smtp.mailfrom=a@b.nl (gatepost-spf v1 ip=192.0.2.10 helo=mx from=a@b.nl)"
    b" (gatepost-seal v1 t=1700000000 m=AAAAAAAAAAAAAAAAAAAAAA)"
)


def _seed(address: int, helo: bytes, mail_from: bytes, rest: bytes = _FIELD) -> bytes:
    return bytes([address]) + counted(helo) + counted(mail_from) + rest


SEEDS = (
    _seed(0, b"mx.example.org", b"anna@example.nl"),
    _seed(1, b"[192.0.2.1]", b'"a b"@c.nl'),
    _seed(2, b"", b""),
    _seed(3, b"a)(b\r\n %0a", b"\xff(gatepost-spf v1 ip=1 helo=2 from=3)@example.nl"),
    _seed(4, b"x" * 255, b"y" * 300 + b"@example.nl"),
    _seed(0, b"mx", b"a@b.nl", _FIELD.replace(b" ", b"\n\t")),
)
WORDS = (
    b"(gatepost-spf v1 ip=", b" helo=", b" from=", b"(gatepost-seal v1 t=1700000000 m=", b")", b"%28", b"%", b'"',
    b"\\", b"@",
)  # fmt: skip


def check(data: bytes) -> None:
    tape = Tape(data)
    address = _ADDRESSES[tape.number(len(_ADDRESSES))]
    told = Stated(address, tape.octets(), tape.octets())
    rest = tape.rest()
    _check_reading(rest)
    _check_writing(told, rest)


def _check_reading(value: bytes) -> None:
    found = stated(value)
    if found is not None:
        assert b"(gatepost-spf" in value
        found.speaks_of(b"a@b.nl")
        assert not _SEALER.opened(value, found.subject, NOW)
    stripped = without_seal(value)
    assert without_seal(stripped) == stripped or b"gatepost-s" in stripped.lower()


def _check_writing(told: Stated, text: bytes) -> None:
    reason = text.decode("utf-8", "replace")
    results = [
        Result(
            "spf", "fail", (Property("smtp", "mailfrom", told.mail_from.decode("utf-8", "replace")),), reason
        )
    ]
    value = write_spf_field("mail.example.nl", results, told, _SEALER, NOW)
    if value is None:
        assert len(told.helo) + len(told.mail_from) > 200
        return
    octets = value.encode("ascii")
    assert value.isprintable()
    assert len(octets) <= LONGEST_VALUE
    assert claims(octets, _IDS)
    assert [(each.method, each.result) for each in read(octets).results] == [("spf", "fail")]
    again = stated(octets)
    assert again == told
    assert again is not None
    for form in (octets, re.sub(rb" (?=\()", b"\n\t", octets), octets + b"\n "):
        assert _SEALER.opened(form, told.subject, NOW)
    assert not _OTHER.opened(octets, told.subject, NOW)
    assert not _SEALER.opened(octets, told.subject, NOW + 3601)
    assert not _SEALER.opened(octets, told.subject + b"x", NOW)
    assert not _SEALER.opened(octets + b"x", told.subject, NOW)
    assert not _SEALER.opened(b"x" + octets, told.subject, NOW)
    if b"gatepost-s" not in (told.mail_from + text).lower():
        assert without_seal(octets) == value.partition(" (gatepost-spf v1 ip=")[0].encode()
