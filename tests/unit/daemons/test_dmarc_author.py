"""The DMARC daemon and the From field: who the author is, and what has no one author."""

from __future__ import annotations

import pytest

from tests.harness.log_file import LogFile
from tests.unit.daemons.dmarc_support import (
    ANNA,
    ELSEWHERE,
    FROM,
    action,
    dmarc,
    questions,
    result,
    told,
)
from tests.unit.daemons.support import (
    run,
)
from tests.unit.dkim.support import MESSAGE

HOSTILE = {
    "none": b"X-From: anna@example.nl",
    "empty": b"From:",
    "two fields": b"From: a@other.example\nFrom: anna@example.nl",
    "a field in disguise": b"From : a@other.example\nFrom: anna@example.nl",
    "two domains": b"From: anna@example.nl, a@other.example",
    "a domain and one below it": b"From: anna@example.nl, a@sub.example.nl",
    "a group": b"From: us: anna@example.nl;",
    "an empty group": b"From: undisclosed:;",
    "a source route": b"From: <@other.example:anna@example.nl>",
    "NUL": b"From: anna@example.nl\0@other.example",
    "no domain": b"From: anna",
    "a final dot": b"From: anna@example.nl.",
    "two at signs": b"From: anna@example.nl@other.example",
    "angle brackets twice": b"From: <a@other.example> <anna@example.nl>",
    "an open quote": b'From: "Anna <anna@example.nl>',
    "an address literal": b"From: anna@[192.0.2.1]",
    "only an encoded word": b"From: =?utf-8?q?anna=40example.nl?=",
    "no UTF-8": b"From: anna@exam\xffple.nl",
    "an endless comment": b"From: " + b"(" * 5000 + b"anna@example.nl",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_no_one_author(log: LogFile, name: str) -> None:
    raw = MESSAGE.replace(FROM, HOSTILE[name])
    passed = run(dmarc(log), raw, **ANNA)
    assert (action(passed), result(passed)) == ("accept", "permerror")
    assert "header.from" not in told(passed)
    assert log.lines[-1]["reason"].startswith("From: ")
    refused = run(dmarc(log, bad_from="reject"), raw, **ANNA)
    assert refused.reply is not None
    assert (refused.reply.code, refused.reply.enhanced) == (550, "5.7.1")
    assert action(run(dmarc(log, bad_from="reject", mode="stamp"), raw, **ANNA)) == "accept"


@pytest.mark.parametrize(
    "field_",
    [
        b'From: "a@other.example" <anna@example.nl>',
        b'From: "a@other.example"@example.nl',
        b"From: =?utf-8?q?a=40other.example?= <anna@example.nl>",
        b"From: (a@other.example) anna@example.nl (b)",
        b"From: anna@EXAMPLE.nl",
        b"from: anna@example.nl",
        b"From:\n anna@example.nl",
        b"From : anna@example.nl",
        b"From: anna@example.nl, Bert <bert@EXAMPLE.nl>",
        b"From: anna@example.nl <anna@example.nl>",
        b"From: Berg, Anna [x] <anna@example.nl>",
    ],
)
def test_one_author_however_written(log: LogFile, field_: bytes) -> None:
    verdict = run(dmarc(log), MESSAGE.replace(FROM, field_), **ELSEWHERE)
    assert (action(verdict), result(verdict)) == ("reject", "fail")
    assert "header.from=example.nl" in told(verdict)


def test_an_author_in_unicode_is_looked_up_by_its_a_label(log: LogFile) -> None:
    zone = {"_dmarc.xn--mller-kva.example": "v=DMARC1; p=reject"}
    raw = MESSAGE.replace(FROM, "From: jo@Müller.example".encode())
    verdict = run(dmarc(log, zone), raw, **ELSEWHERE)
    assert action(verdict) == "reject"
    assert "header.from=xn--mller-kva.example" in told(verdict)


def test_a_name_of_120_labels_takes_eight_questions(log: LogFile) -> None:
    author = ".".join("a" * 118) + ".example.nl"
    zone = {f"_dmarc.{author[start:]}": "v=DMARC1; p=reject" for start in range(0, len(author), 2)}
    daemon = dmarc(log, zone | {"_dmarc.example.nl": "v=DMARC1; p=quarantine"})
    raw = MESSAGE.replace(FROM, f"From:\n a@{author}".encode())
    verdict = run(daemon, raw, **ELSEWHERE)
    assert action(verdict) == "reject"
    assert len([name for name, _ in questions(daemon) if name.startswith("_dmarc.")]) == 8
