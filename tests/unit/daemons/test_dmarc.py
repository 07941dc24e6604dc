"""The DMARC daemon: what it checks itself, what it writes, what its options do."""

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
from gatepost.config.sections import Dns
from gatepost.dns.answer import Answer, Outcome
from gatepost.dns.budget import Budget
from gatepost.message import Envelope, HeaderField, Message
from milters.dmarc import DmarcHandler
from milters.handler import Disposition, Examination, Step, Verdict
from milters.replies import HEADER_TOO_LARGE
from tests.harness.log_file import LogFile
from tests.harness.mail import parse
from tests.unit.daemons.dmarc_support import (
    ALTERED,
    ANNA,
    DKIM_PASS,
    DOMAIN,
    ELSEWHERE,
    FAILED,
    FROM,
    INSIDE,
    LIST,
    SIGNED,
    Rows,
    ZoneResolver,
    action,
    dmarc,
    field,
    policy,
    questions,
    result,
    sealed,
    sealed_spf,
    told,
)
from tests.unit.daemons.support import (
    ID,
    OURSELVES,
    STRANGER,
    deleted,
    inserted,
    run,
)
from tests.unit.dkim.support import MESSAGE, craft, record, rsa_key

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


# -- what it checks itself


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


# -- who is left alone


@pytest.mark.parametrize(
    ("settings", "envelope", "reason"),
    [
        ({}, {"macros": {"auth_authen": "anna"}}, "authenticated user"),
        ({"ignore_from": ["example.nl"]}, {}, "author in ignore_from"),
        ({"ignore_from": ["Anna@Example.nl"]}, {}, "author in ignore_from"),
        ({"ignore_from": ["bert@example.nl", "sub.example.nl"]}, {}, None),
        ({"ignore_hosts": ["192.0.2.0/24"]}, {}, "client in ignore_hosts"),
        ({"ignore_hosts": ["192.0.2.0/24", f"!{STRANGER}"]}, {}, None),
        (
            {"ignore_hosts": [".friend.example"]},
            {"client_name": "a.friend.example"},
            "client in ignore_hosts",
        ),
    ],
)
def test_ignored(log: LogFile, settings: Any, envelope: Any, reason: str | None) -> None:
    daemon = dmarc(log, **settings)
    verdict = run(daemon, MESSAGE, **ELSEWHERE, **envelope)
    if reason is None:
        assert action(verdict) == "reject"
        return
    assert (action(verdict), list(verdict.changes)) == ("accept", [])
    assert questions(daemon) == []
    assert log.lines[-1]["reason"] == reason


@pytest.mark.parametrize(
    ("ignored", "reason"),
    [
        (["example.nl"], "author in ignore_from"),
        (["bert@example.nl", "anna@example.nl"], "author in ignore_from"),
        (["anna@example.nl"], None),
    ],
)
def test_of_several_authors_all_are_to_be_ignored(
    log: LogFile, ignored: list[str], reason: str | None
) -> None:
    raw = MESSAGE.replace(FROM, b"From: anna@example.nl, bert@example.nl")
    run(dmarc(log, ignore_from=ignored), raw, **ELSEWHERE)
    assert log.lines[-1].get("reason") == (reason or "no aligned identifier")


def test_an_ignored_author_brings_no_forged_fields(log: LogFile) -> None:
    raw = field(f"{ID}; {DKIM_PASS}") + MESSAGE
    assert deleted(run(dmarc(log, ignore_from=["example.nl"]), raw, **ELSEWHERE)) == [1]
    assert deleted(run(dmarc(log), raw, macros={"auth_authen": "anna"})) == [1]


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


# -- the DNS


def test_a_stranger_cannot_use_up_the_questions_about_the_policy(log: LogFile) -> None:
    """Signatures and MAIL FROM are his, and may cost what they may; the policy is still found."""

    class Spent(ZoneResolver):
        async def lookup(self, name: str, rdtype: str, budget: Any = None) -> Any:
            while name.endswith("list.example") and not budget.spend():
                pass
            assert budget is None or not name.startswith("_dmarc.") or budget.queries_left > 50
            return await super().lookup(name, rdtype, budget)

    daemon = dmarc(log)
    daemon.tools.verifier.resolver = Spent(DOMAIN, knows=False)  # type: ignore[assignment]
    assert action(run(daemon, MESSAGE, **ELSEWHERE)) == "reject"


def test_a_stranger_cannot_use_up_the_questions_about_the_sender_with_signatures(log: LogFile) -> None:
    """A check that fails must not become one that could not be made."""

    class Strict(ZoneResolver):
        async def lookup(self, name: str, rdtype: str, budget: Any = None) -> Any:
            return Answer(Outcome.TIMEOUT) if budget.spend() else await super().lookup(name, rdtype, budget)

    includes = " ".join(f"include:i{number}.example.nl" for number in range(10))
    zone = {**DOMAIN, "example.nl": f"v=spf1 {includes} -all"}
    zone |= {f"i{number}.example.nl": "v=spf1 ?all" for number in range(10)}
    daemon = dmarc(log)
    daemon.tools.verifier.resolver = Strict(zone, knows=False)  # type: ignore[assignment]
    daemon.tools.verifier.new_budget = lambda: Budget(Dns(message_queries=15))
    raw = MESSAGE
    for number in range(10):
        raw = craft(raw, rsa_key(), d=f"d{number}.example")
    verdict = run(daemon, raw, **ANNA, client_address="198.51.100.66")
    assert (action(verdict), result(verdict)) == ("reject", "fail")
