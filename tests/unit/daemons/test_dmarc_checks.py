"""What the DMARC daemon checks itself where nobody has: SPF, and signatures."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gatepost.message import Envelope, Message
from milters.dmarc import DmarcHandler
from milters.handler import Examination, Step
from tests.harness.log_file import LogFile
from tests.harness.mail import parse
from tests.unit.daemons.dmarc_support import (
    ALTERED,
    ANNA,
    DOMAIN,
    ELSEWHERE,
    INSIDE,
    SIGNED,
    dmarc,
    policy,
    questions,
    result,
    sealed,
    sealed_spf,
    told,
)
from tests.unit.daemons.support import (
    STRANGER,
    run,
)
from tests.unit.dkim.support import MESSAGE, craft, record, rsa_key


def test_spf_is_checked_where_the_client_is_to_be_seen(log: LogFile) -> None:
    assert told(run(dmarc(log), MESSAGE, **ANNA)).startswith("spf=pass smtp.mailfrom=example.nl; ")
    assert told(run(dmarc(log), MESSAGE, **{**ANNA, "client_address": "198.51.100.66"})).startswith(
        "spf=fail"
    )
    daemon = dmarc(log)
    assert told(run(daemon, MESSAGE, **INSIDE)).startswith("dkim=none; dmarc=fail")
    assert ("example.nl", "TXT") not in questions(daemon)


def test_the_null_sender_is_checked_by_its_helo(log: LogFile) -> None:
    verdict = run(dmarc(log), MESSAGE, mail_from=b"", helo=b"example.nl")
    assert told(verdict).startswith("spf=pass smtp.helo=example.nl; ")
    assert result(verdict) == "pass"


def test_who_logged_in_is_no_content_filter(log: LogFile) -> None:
    envelope = {**INSIDE, "macros": {"auth_authen": "anna"}}
    assert told(run(dmarc(log, ignore_authenticated=False), MESSAGE, **envelope)).startswith("spf=fail")


def test_signatures_are_verified_where_nobody_did(log: LogFile) -> None:
    for envelope in (ELSEWHERE, {**INSIDE, "mail_from": b"x@list.example"}):
        assert result(run(dmarc(log), SIGNED, **envelope)) == "pass"
        assert result(run(dmarc(log), ALTERED, **envelope)) == "fail"
        # SPF's result does not stand for DKIM's
        spf = sealed_spf([("mailfrom", "fail", "list.example")], mail_from=b"x@list.example")
        assert result(run(dmarc(log), spf + SIGNED, **envelope)) == "pass"


def test_a_parent_and_a_sister_align_unless_the_record_is_strict(log: LogFile) -> None:
    raw = craft(MESSAGE, rsa_key(), d="mail.example.nl", s="m")
    key = {"m._domainkey.mail.example.nl": record(rsa_key()).decode()}
    assert result(run(dmarc(log, DOMAIN | key), raw, **ELSEWHERE)) == "pass"
    assert result(run(dmarc(log, policy("p=reject; adkim=s") | key), raw, **ELSEWHERE)) == "fail"


def examined(daemon: DmarcHandler, raw: bytes, **envelope: Any) -> Examination:
    headers, _ = parse(raw)
    sender = Envelope(**{"client_address": STRANGER, "helo": b"client.example", **envelope})
    return daemon.examine(Message(sender, headers))


@pytest.mark.parametrize(
    ("raw", "wanted"),
    [
        (SIGNED, True),
        (MESSAGE, False),
        (sealed(SIGNED, "dkim=none") + SIGNED, False),
        (SIGNED.replace(b"From: Anna", b"X-From: Anna"), False),
        (craft(MESSAGE, rsa_key(), v="2"), False),
    ],
)
def test_the_body_is_asked_for_only_to_verify(log: LogFile, raw: bytes, wanted: bool) -> None:
    assert examined(dmarc(log), raw, **ANNA).body(b"Hello.\r\n") is wanted
    assert DmarcHandler.needs.skips_body
    assert Step.BODY in DmarcHandler.needs.steps


def test_a_message_that_is_given_up_leaves_nothing_under_way(log: LogFile) -> None:
    async def given_up() -> list[str]:
        examination = examined(dmarc(log, tools={"knows": False}), SIGNED, **ANNA)
        started = len(asyncio.all_tasks())
        examination.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert started > 1
        return [repr(task) for task in asyncio.all_tasks() - {asyncio.current_task()}]

    assert asyncio.run(given_up()) == []
