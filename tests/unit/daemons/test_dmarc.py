"""The DMARC daemon: what it writes, what becomes of mail, what its options do."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatepost.authres.read import read
from gatepost.dns.answer import Outcome
from gatepost.message import Envelope, HeaderField, Message
from milters.dmarc import DmarcHandler
from milters.handler import Disposition, Verdict
from milters.replies import HEADER_TOO_LARGE
from tests.harness.log_file import LogFile
from tests.unit.daemons.dmarc_support import (
    ALTERED,
    ANNA,
    DOMAIN,
    ELSEWHERE,
    FAILED,
    FROM,
    INSIDE,
    LIST,
    SIGNED,
    Rows,
    action,
    dmarc,
    policy,
    questions,
    result,
    sealed_spf,
    told,
)
from tests.unit.daemons.support import (
    ID,
    OURSELVES,
    STRANGER,
    inserted,
    run,
)
from tests.unit.dkim.support import MESSAGE

# -- the field


def test_the_field_of_a_pass(log: LogFile) -> None:
    text = told(run(dmarc(log), SIGNED, **ANNA))
    first, rest = text.split("; dkim=pass ", 1)
    assert first == "spf=pass smtp.mailfrom=example.nl"
    assert rest.endswith("; dmarc=pass (p=reject dis=none) header.from=example.nl")
    line = log.lines[-1]
    assert (line["queue_id"], line["client"], line["author"], line["dmarc"]) == (
        "4ABC", STRANGER, "example.nl", "pass",
    )  # fmt: skip
    assert (line["spf"], line["dkim"]) == ("pass:example.nl", "pass:example.nl/mail")
    assert not {"action", "reason", "disposition", "override", "fields_removed"} & set(line)


def test_the_field_of_a_failure(log: LogFile) -> None:
    text = told(run(dmarc(log, policy("p=reject; sp=none; np=quarantine; t=y")), MESSAGE, **ELSEWHERE))
    assert text == (
        "spf=none smtp.mailfrom=list.example; dkim=none; "
        "dmarc=fail (p=reject sp=none np=quarantine dis=quarantine) header.from=example.nl "
        "policy.dmarc=quarantine"
    )
    line = log.lines[-1]
    assert (line["dmarc"], line["policy"], line["reason"]) == ("fail", "quarantine", "no aligned identifier")
    assert (line["spf"], line["disposition"], line["action"]) == (
        "none:list.example", "quarantine", "quarantine",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("zone", "text"),
    [
        ({}, "dmarc=none header.from=example.nl"),
        (policy("p=none"), "dmarc=fail (p=none dis=none) header.from=example.nl policy.dmarc=none"),
        (policy("p=bad"), "dmarc=none header.from=example.nl"),
        (
            {"_dmarc.example.nl": Outcome.SERVFAIL},
            'dmarc=temperror reason="DNS failure for _dmarc.example.nl" header.from=example.nl',
        ),
    ],
)
def test_the_results_without_a_policy(log: LogFile, zone: Any, text: str) -> None:
    assert told(run(dmarc(log, zone), MESSAGE, **ELSEWHERE)).endswith(text)


def test_a_cold_cache_makes_no_difference(log: LogFile) -> None:
    for raw in (SIGNED, ALTERED, MESSAGE):
        for envelope in (ANNA, ELSEWHERE):
            cold = run(dmarc(log, tools={"knows": False}), raw, **envelope)
            warm = run(dmarc(log), raw, **envelope)
            assert (told(cold), cold.reply) == (told(warm), warm.reply)


# -- what becomes of mail

REJECT, QUARANTINE, NONE = policy("p=reject"), policy("p=quarantine"), policy("p=none")


@pytest.mark.parametrize(
    ("zone", "settings", "raw", "envelope", "does", "disposition", "override"),
    [
        (REJECT, {}, MESSAGE, {}, "reject", "reject", None),
        (REJECT, {}, SIGNED, {}, "accept", "none", None),
        (REJECT, {"on_reject": "quarantine"}, MESSAGE, {}, "quarantine", "quarantine", "local_policy"),
        (REJECT, {"on_reject": "accept"}, MESSAGE, {}, "accept", "none", "local_policy"),
        (REJECT, {"mode": "stamp"}, MESSAGE, {}, "accept", "none", None),
        (QUARANTINE, {}, MESSAGE, {}, "quarantine", "quarantine", None),
        (QUARANTINE, {"on_quarantine": "header"}, MESSAGE, {}, "accept", "quarantine", None),
        (QUARANTINE, {"on_quarantine": "accept"}, MESSAGE, {}, "accept", "none", "local_policy"),
        (QUARANTINE, {"on_quarantine": "reject"}, MESSAGE, {}, "reject", "reject", "local_policy"),
        (QUARANTINE, {"on_reject": "accept"}, MESSAGE, {}, "quarantine", "quarantine", None),
        (NONE, {}, MESSAGE, {}, "accept", "none", None),
        (policy("p=reject; t=y"), {}, MESSAGE, {}, "quarantine", "quarantine", None),
        (policy("p=quarantine; t=y"), {}, MESSAGE, {}, "accept", "none", None),
        # indirect mail is not refused for p=reject alone
        (REJECT, {}, LIST + MESSAGE, {}, "quarantine", "quarantine", "mailing_list"),
        (REJECT, {"indirect_mail": "accept"}, LIST + MESSAGE, {}, "accept", "none", "mailing_list"),
        (REJECT, {"indirect_mail": "reject"}, LIST + MESSAGE, {}, "reject", "reject", None),
        (REJECT, {}, LIST.partition(b"\n")[2] + MESSAGE, {}, "reject", "reject", None),
        (QUARANTINE, {}, LIST + MESSAGE, {}, "quarantine", "quarantine", None),
        (
            REJECT,
            {"trusted_forwarders": ["192.0.2.0/24"]},
            MESSAGE,
            {},
            "quarantine",
            "quarantine",
            "trusted_forwarder",
        ),
        (
            REJECT,
            {"trusted_forwarders": [".forwarder.example"], "indirect_mail": "accept"},
            MESSAGE,
            {"client_name": "mx.forwarder.example"},
            "accept",
            "none",
            "trusted_forwarder",
        ),
        (
            REJECT,
            {"trusted_forwarders": [".forwarder.example"]},
            MESSAGE,
            {"client_name": "mx.example"},
            "reject",
            "reject",
            None,
        ),
    ],
)
def test_dispositions(
    log: LogFile,
    zone: Any,
    settings: dict[str, Any],
    raw: bytes,
    envelope: dict[str, Any],
    does: str,
    disposition: str,
    override: str | None,
) -> None:
    verdict = run(dmarc(log, zone, **settings), raw, **ELSEWHERE, **envelope)
    assert action(verdict) == does
    assert f"dis={disposition})" in told(verdict)
    assert log.lines[-1].get("override") == override
    assert log.lines[-1].get("action", "accept") == does


def test_the_words_of_a_refusal_and_of_the_hold_queue(log: LogFile) -> None:
    refused = run(dmarc(log), MESSAGE, **ELSEWHERE)
    assert refused.reply is not None
    assert (refused.reply.code, refused.reply.enhanced, refused.reply.text) == (
        550, "5.7.1", "Email rejected per DMARC policy for example.nl",
    )  # fmt: skip
    held = run(dmarc(log, QUARANTINE), MESSAGE, **ELSEWHERE)
    assert held.reason == "DMARC policy of example.nl"
    marked = run(dmarc(log, QUARANTINE, on_quarantine="header"), MESSAGE, **ELSEWHERE)
    assert inserted(marked, b"X-DMARC-Quarantine") == ["DMARC policy of example.nl"]


@pytest.mark.parametrize(("choice", "does"), [("accept", "accept"), ("tempfail", "tempfail")])
def test_on_temperror(log: LogFile, choice: str, does: str) -> None:
    zone = DOMAIN | {"_dmarc.example.nl": Outcome.TIMEOUT}
    verdict = run(dmarc(log, zone, on_temperror=choice), MESSAGE, **ELSEWHERE)
    assert (action(verdict), result(verdict)) == (does, "temperror")
    if does == "tempfail":
        assert verdict.reply is not None
        assert (verdict.reply.code, verdict.reply.enhanced) == (451, "4.7.1")
    assert action(run(dmarc(log, zone, on_temperror=choice, mode="stamp"), MESSAGE, **ELSEWHERE)) == "accept"


# -- anything at all

_words = st.sampled_from(
    [
        b"anna@example.nl", b"<", b">", b"(", b")", b'"', b"\\", b",", b";", b":", b"@", b" ", b"\n ", b"\0",
        b"=?utf-8?q?a?=",
        b"dkim=pass header.d=example.nl", b"spf=pass smtp.mailfrom=", b"dmarc=pass", ID.encode(), b"\xff", "ü".encode(),
        b"v=1", b"d=example.nl", b"(gatepost-seal v1 t=1700000000 m=AAAAAAAAAAAAAAAAAAAAAA)", b"(gatepost-spf v1 ip=",
    ]
)  # fmt: skip
_values = st.one_of(st.lists(_words, max_size=12).map(b"".join), st.binary(max_size=60))
_names = st.sampled_from(
    [b"From", b"From ", b"Authentication-Results", b"DKIM-Signature", b"List-Id", b"Date"]
)


@pytest.fixture(scope="module")
def for_anything() -> Iterator[dict[bool, DmarcHandler]]:
    """A daemon for each kind of DNS, kept for all the examples; its log goes nowhere."""
    silent = LogFile(Path(os.devnull))
    yield {
        knows: dmarc(silent, tools={"knows": knows, "history": Rows()}, bad_from="reject")
        for knows in (False, True)
    }
    silent.close()


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(_names, _values), max_size=8),
    st.sampled_from(["198.51.100.66", OURSELVES, "2001:db8::1", "", "nonsense"]),
    _values,
    _values,
    st.booleans(),
)
def test_any_message_gets_a_verdict_and_one_field(
    for_anything: dict[bool, DmarcHandler],
    fields: list[tuple[bytes, bytes]],
    client: str,
    helo: bytes,
    mail_from: bytes,
    knows: bool,
) -> None:
    sender = Envelope(client, helo=helo, mail_from=mail_from, macros={"i": "4ABC"})
    message = Message(sender, [HeaderField(*each) for each in fields])
    daemon = for_anything[knows]

    async def judged() -> Verdict:
        examination = daemon.examine(message)
        examination.body(b"Hello.\r\n")
        verdict = examination.finish()
        return verdict if isinstance(verdict, Verdict) else await verdict

    verdict = asyncio.run(judged())
    parsed = read(f"{ID}; {told(verdict)}".encode())
    assert [each.method for each in parsed.results].count("dmarc") == 1
    # Nobody has authenticated, whatever the fields say.
    assert all(each.result != "pass" for each in parsed.results if each.method in ("dmarc", "dkim"))


# -- limits, metrics, history, RFC 7489


@pytest.mark.parametrize("mode", ["stamp", "enforce"])
def test_a_header_beyond_the_limits_is_refused(log: LogFile, mode: str) -> None:
    verdict = run(dmarc(log, mode=mode), MESSAGE, **ELSEWHERE, oversized="more than 1000 header fields")
    assert (verdict.disposition, verdict.reply) == (Disposition.REJECT, HEADER_TOO_LARGE.reply)
    assert log.lines[-1]["reason"] == "more than 1000 header fields"


def test_metrics(log: LogFile) -> None:
    daemon = dmarc(log)
    for raw in (SIGNED, MESSAGE, MESSAGE):
        run(daemon, raw, **ELSEWHERE)
    metrics = daemon.tools.metrics
    assert [metrics.result("dmarc", word)._value.get() for word in ("pass", "fail", "none")] == [1, 2, 0]
    assert [metrics.verdict(word)._value.get() for word in ("accept", "reject")] == [1, 2]


@pytest.mark.parametrize(
    ("zone", "settings", "raw", "rows"),
    [
        (REJECT, {}, MESSAGE, [("fail", "reject", "")]),
        (REJECT, {}, SIGNED, [("pass", "none", "")]),
        (REJECT, {}, LIST + MESSAGE, [("fail", "quarantine", "mailing_list")]),
        (NONE, {}, MESSAGE, [("fail", "none", "")]),
        ({}, {}, MESSAGE, []),
        (REJECT, {"ignore_from": ["example.nl"]}, MESSAGE, []),
        (REJECT, {"bad_from": "reject"}, MESSAGE.replace(FROM, b"From:"), []),
        # a temporary error: told of once the message is through
        (REJECT | {"mail._domainkey.example.nl": Outcome.SERVFAIL}, {}, SIGNED, [("temperror", "none", "")]),
        (
            REJECT | {"mail._domainkey.example.nl": Outcome.SERVFAIL},
            {"on_temperror": "tempfail"},
            SIGNED,
            [],
        ),
    ],
)
def test_history(log: LogFile, zone: Any, settings: Any, raw: bytes, rows: list[tuple[str, ...]]) -> None:
    history = Rows()
    run(dmarc(log, zone, {"history": history}, **settings), raw, **ELSEWHERE)
    assert [(row.result, row.disposition, row.override) for row in history] == rows


def test_behind_a_filter_the_client_is_whom_the_policy_service_saw(log: LogFile) -> None:
    history = Rows()
    raw = sealed_spf(FAILED, client="198.51.100.66") + MESSAGE
    for networks_, disposition in (("198.51.100.0/24", "quarantine"), ("127.0.0.0/8", "reject")):
        run(dmarc(log, tools={"history": history}, trusted_forwarders=[networks_]), raw, **INSIDE)
        assert (history[-1].client_address, history[-1].disposition) == ("198.51.100.66", disposition)
    # at the border it is the one who is there
    run(dmarc(log, tools={"history": history}), raw, **ANNA)
    assert history[-1].client_address == STRANGER


def test_the_public_suffix_list_where_asked_for(log: LogFile) -> None:
    zone = {"_dmarc.example.nl": "v=DMARC1; p=reject; pct=50; np=none"}
    raw = MESSAGE.replace(FROM, b"From: a@a.b.example.nl")
    for sample, does in ((49.0, "reject"), (50.0, "quarantine")):
        daemon = dmarc(log, zone, {"sample": lambda sample=sample: sample}, org_domain="psl")
        assert action(run(daemon, raw, **ELSEWHERE)) == does
        asked = [name for name, _ in questions(daemon) if name.startswith("_dmarc.")]
        assert asked == ["_dmarc.a.b.example.nl", "_dmarc.example.nl"]
    # RFC 9989 applies np, and no pct
    assert action(run(dmarc(log, zone, {"sample": lambda: 99.0}), raw, **ELSEWHERE)) == "accept"
