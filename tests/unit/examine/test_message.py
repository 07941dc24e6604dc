"""The evaluation of a saved message, without a command around it."""

from __future__ import annotations

import asyncio
import io
import tracemalloc
from functools import partial

import pytest

from gatepost.config.sections import Dns, Limits
from gatepost.dkim.verify import Policy
from gatepost.dmarc.evaluate import TREE_WALK
from gatepost.dns.budget import Budget
from gatepost.dns.noting import NotingResolver
from gatepost.dns.steps import Question
from gatepost.dns.zone import parse_zone
from gatepost.examine.message import MAX_FOREIGN, Rules, examine
from gatepost.examine.report import Report
from gatepost.examine.saved import read_saved
from gatepost.message import Envelope
from tests.unit.dkim.support import MESSAGE, NOW, craft, ed25519_key, record

ZONE = f"""
mail._domainkey.example.nl: [{{TXT: "{record(ed25519_key()).decode()}"}}]
_dmarc.example.nl: [{{TXT: "v=DMARC1; p=reject"}}]
bounce.example.nl: [{{TXT: "v=spf1 ip4:192.0.2.1 -all"}}]
_dmarc.bounce.example.nl: [SERVFAIL]
"""


def examined(raw: bytes, envelope: Envelope | None = None) -> Report:
    settings = Dns()
    rules = Rules(Policy(), TREE_WALK, NOW, partial(Budget, settings))

    async def run() -> Report:
        async with NotingResolver(settings, zone=parse_zone(ZONE)) as resolver:
            saved = read_saved(io.BytesIO(raw), Limits())
            return await examine(saved, envelope or Envelope(), rules, resolver)

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("more", "names", "unsigned", "oversigned"),
    [
        (b"", "from:to:subject:date:message-id", (), ()),
        (b"", "from", ("to", "subject", "date", "message-id"), ()),
        (b"", "from:from:to:subject:date:message-id:cc", (), ("from", "cc")),
        (b"Cc: a\nCc: b\n", "from:to:cc:subject:date:message-id", ("cc",), ()),
        (b"Received: x\nReturn-Path: <>\nARC-Seal: y\n", "from:to:subject:date:message-id", (), ()),
    ],
)
def test_what_a_signature_covers(
    more: bytes, names: str, unsigned: tuple[str, ...], oversigned: tuple[str, ...]
) -> None:
    (signature,) = examined(craft(more + MESSAGE, ed25519_key(), h=names)).signatures
    assert (signature.unsigned, signature.oversigned, signature.body_matches) == (unsigned, oversigned, True)
    assert signature.result.verdict == "pass"


@pytest.mark.parametrize(
    ("raw", "matches"),
    [
        (craft(MESSAGE, ed25519_key(), x="5"), True),
        (craft(MESSAGE, ed25519_key(), x="5").replace(b"this", b"that"), False),
        (craft(MESSAGE, ed25519_key(), l="9999"), False),
        (b"DKIM-Signature: v=1\n" + MESSAGE, None),
    ],
)
def test_the_body_of_a_signature_that_is_refused(raw: bytes, matches: bool | None) -> None:
    (signature,) = examined(raw).signatures
    assert signature.body_matches is matches
    assert signature.result.verdict != "pass"


def test_an_alignment_that_the_dns_keeps_to_itself() -> None:
    envelope = Envelope(client_address="192.0.2.1", mail_from=b"x@bounce.example.nl")
    report = examined(MESSAGE, envelope)
    assert [(each.method, each.result, each.aligned) for each in report.alignments] == [("spf", "pass", True)]
    broken = examined(MESSAGE.replace(b"@example.nl>", b"@x.bounce.example.nl>", 1), envelope)
    assert broken.evaluation is not None
    assert broken.evaluation.verdict == "temperror"
    assert broken.failures == ["dmarc"]


def test_a_question_is_asked_once() -> None:
    report = examined(craft(MESSAGE, ed25519_key()))
    assert list(report.asked) == [
        Question("mail._domainkey.example.nl", "TXT"),
        Question("_dmarc.example.nl", "TXT"),
        Question("_dmarc.nl", "TXT"),
    ]


def test_a_header_beyond_the_limits_is_not_judged() -> None:
    report = examined(b"X: y\n" * 2000 + MESSAGE)
    assert (report.evaluation, report.signatures, report.asked) == (None, (), {})
    assert report.failures == ["message"]


def test_foreign_results_are_bounded() -> None:
    report = examined(b"Authentication-Results: x; none\n" * (MAX_FOREIGN + 10) + MESSAGE)
    assert len(report.foreign) == MAX_FOREIGN


def test_a_large_body_is_not_held() -> None:
    raw = craft(MESSAGE, ed25519_key()) + b"0123456789abcdef\n" * (2 << 20)
    tracemalloc.start()
    try:
        report = examined(raw)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert report.body_size > 32 << 20
    assert peak < 4 << 20
