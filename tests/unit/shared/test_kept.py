"""What is kept of strangers' texts, so as not to read them again: no long ones, for there may be thousands."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from unittest.mock import Mock

import pytest

from gatepost.authres.seal import spf_subject
from gatepost.dkim.record import KeyProblem
from gatepost.dkim.signature import SignatureError, parse_signature
from gatepost.dkim.verifier import Verifier
from gatepost.dmarc.evaluate import Evaluation, Verdict
from gatepost.dmarc.history import Row
from gatepost.dmarc.record import parse_record
from gatepost.dmarc.walk import the_record
from gatepost.dns.answer import Answer, Outcome
from gatepost.domains import InvalidNameError, to_ascii
from gatepost.message import Envelope

TIMES = 50
LENGTH = 8000
"""Less than what our readers take of a record at most."""

_VERIFIER = Verifier(Mock(), Mock(), Mock())


def key_record(number: int) -> None:
    text = b"v=DKIM1; n=%d%s; p=" % (number, b"x" * LENGTH)
    assert isinstance(_VERIFIER.parse_record(text), KeyProblem)


def policy_record(number: int) -> None:
    text = b"v=DMARC1; p=none; rua=a:%d%s" % (number, b",a:b" * (LENGTH // 4))
    _, record = the_record(Answer(Outcome.FOUND, (text,)))
    assert record is not None


def row(number: int) -> None:
    record = parse_record(b"v=DMARC1; p=none; rua=a:%d%s" % (number, b",a:b" * (LENGTH // 4)))
    evaluation = Evaluation(Verdict.PASS, "example.org", record=record)
    made = Row.of(
        Envelope(), evaluation, None, [], client_address="", disposition="none", override="", time=0.0
    )
    assert len(made.record) > LENGTH


def signature(number: int) -> None:
    with pytest.raises(SignatureError):
        parse_signature(
            b"v=1; a=rsa-sha256; d=x.org; s=%d%s; h=from%s" % (number, b"s" * LENGTH, b":x" * LENGTH)
        )


def domain(number: int) -> None:
    with pytest.raises(InvalidNameError):
        to_ascii(f"{number}.\u00fc" + "\u00ad" * LENGTH)


def stated_address(number: int) -> None:
    spf_subject(f"fe80::1%{number}{'x' * LENGTH}", b"", b"")


@pytest.mark.parametrize("read", [key_record, policy_record, row, signature, domain, stated_address])
def test_no_long_text_is_kept(read: Callable[[int], None]) -> None:
    read(0)
    tracemalloc.start()
    try:
        for number in range(1, TIMES):
            read(number)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < TIMES * LENGTH // 8
