"""dkim-verify as a daemon: whom it verifies, what it writes, which fields go, what its options do."""

from __future__ import annotations

from typing import Any

import pytest

from gatepost.authres.seal import message_subject, spf_subject, without_seal
from gatepost.config.dkim_settings import DkimVerify
from gatepost.dns.answer import Answer, Outcome
from milters.dkim_verify import DkimVerifyHandler, Tools
from milters.handler import Disposition, Verdict
from tests.harness.log_file import LogFile
from tests.harness.mail import parse
from tests.unit.daemons.support import (
    ID,
    NOW,
    OURSELVES,
    SEALER,
    STRANGER,
    FixedResolver,
    deleted,
    inserted,
    networks,
    replaced,
    run,
    verifier,
    verifying,
)
from tests.unit.dkim.support import MESSAGE, craft, ed25519_key, record, rsa_key

KEY = "mail._domainkey.example.nl"
ZONE = {KEY: record(rsa_key())}
SIGNED = craft(MESSAGE, rsa_key())
ALTERED = SIGNED.replace(b"the text", b"the test")


def handler(
    log: LogFile, known: Any = ZONE, asked: Any = None, tools: Any = None, **settings: Any
) -> DkimVerifyHandler:
    resolver = FixedResolver(known, asked or {})
    chosen = DkimVerify.model_validate({"kind": "dkim-verify", "socket": ["inet:1@127.0.0.1"], **settings})
    chosen_tools = verifying(log.log, verifier=verifier(chosen, resolver), **(tools or {}))
    return DkimVerifyHandler("dkim-verify", chosen, Tools(**chosen_tools))


def told(verdict: Verdict) -> str:
    """The one field that was added, without its seal."""
    (value,) = inserted(verdict)
    return without_seal(value.encode()).decode()


# -- the field


def test_pass(log: LogFile) -> None:
    verdict = run(handler(log), SIGNED)
    start = next(part for part in SIGNED.decode().split() if part.startswith("b="))[2:10]
    shown = f'"{start}"' if "/" in start else start
    assert told(verdict) == (
        f"{ID}; dkim=pass (2048-bit key) header.d=example.nl header.i=@example.nl header.s=mail "
        f"header.a=rsa-sha256 header.b={shown}"
    )
    assert log.lines[-1]["dkim"] == "pass:example.nl/mail"
    assert log.lines[-1]["queue_id"] == "4ABC"
    assert log.lines[-1]["author"] == "example.nl"


def test_the_answer_is_the_same_when_the_key_has_to_be_asked_for(log: LogFile) -> None:
    assert told(run(handler(log, {}, ZONE), SIGNED)) == told(run(handler(log), SIGNED))


def test_unsigned(log: LogFile) -> None:
    assert told(run(handler(log), MESSAGE)) == f"{ID}; dkim=none"
    assert run(handler(log, ar_for_unsigned=False), MESSAGE).changes == []


def test_the_authors_signature_comes_first(log: LogFile) -> None:
    raw = craft(craft(MESSAGE, rsa_key()), ed25519_key(), d="list.example.org", s="l")
    known = ZONE | {"l._domainkey.list.example.org": record(ed25519_key())}
    text = told(run(handler(log, known), raw))
    assert text.index("header.d=example.nl") < text.index("header.d=list.example.org")
    assert text.count("dkim=pass") == 2


def test_signatures_that_begin_alike_are_told_apart(log: LogFile) -> None:
    raw = craft(craft(MESSAGE, rsa_key(), b="YWJjZGVmZ2hpamts"), rsa_key(), b="YWJjZGVmZ2hpMTIz", s="two")
    text = told(run(handler(log), raw))
    assert "header.b=YWJjZGVmZ2hpamts" in text
    assert "header.b=YWJjZGVmZ2hpMTIz" in text


def test_what_dnssec_and_testing_keys_add(log: LogFile) -> None:
    known = {KEY: Answer(Outcome.FOUND, (record(rsa_key(), "t=y; "),), authentic=True)}
    text = told(run(handler(log, known), SIGNED))
    assert "(2048-bit key, key in testing)" in text
    assert "dns.sec=yes" in text


def test_the_reason_stands_in_the_field(log: LogFile) -> None:
    assert 'dkim=fail (2048-bit key) reason="body altered" header.d=' in told(run(handler(log), ALTERED))


def test_a_hostile_domain_is_not_written(log: LogFile) -> None:
    raw = craft(MESSAGE, rsa_key(), d="legit.com(.evil.com", i="x@evil; dkim=pass header.d=bank.example")
    assert "evil" not in told(run(handler(log), raw))


# -- whom


@pytest.mark.parametrize(
    ("envelope", "settings", "verified"),
    [
        ({}, {}, True),
        ({"client_address": ""}, {}, True),
        ({"client_address": OURSELVES}, {}, False),
        ({"client_address": OURSELVES}, {"verify_local": True}, True),
        ({"macros": {"auth_authen": "anna"}}, {}, False),
        ({"macros": {"auth_authen": "anna"}}, {"verify_local": True}, True),
        ({}, {"ignore_hosts": ["192.0.2.0/24"]}, False),
        ({}, {"ignore_hosts": ["192.0.2.0/24", f"!{STRANGER}"]}, True),
        ({"client_name": "a.partner.example"}, {"ignore_hosts": [".partner.example"]}, False),
    ],
)
def test_whom(log: LogFile, envelope: dict[str, Any], settings: dict[str, Any], verified: bool) -> None:
    assert bool(inserted(run(handler(log, **settings), SIGNED, **envelope))) is verified


# -- the border

FORGED = f"Authentication-Results: {ID}; dkim=pass header.d=bank.example\n".encode()
FOREIGN = b"Authentication-Results: mx.other.example; dkim=pass header.d=bank.example\n"


@pytest.mark.parametrize("envelope", [{}, {"client_address": OURSELVES}, {"macros": {"auth_authen": "anna"}}])
def test_forged_fields_go_whoever_brings_them(log: LogFile, envelope: dict[str, Any]) -> None:
    raw = FOREIGN + FORGED.upper() + FOREIGN + FORGED.replace(b"-Results:", b"-Results :") + MESSAGE
    assert deleted(run(handler(log), raw, **envelope)) == [2, 4]
    assert log.lines[-1]["fields_removed"] == 2


def sealed(raw: bytes, subject: bytes | None = None, now: float = NOW) -> bytes:
    headers, _ = parse(raw)
    value = f"{ID}; dkim=pass header.d=example.nl"
    return (
        b"Authentication-Results: "
        + SEALER.seal(value, subject or message_subject(headers), now).encode()
        + b"\n"
    )


def test_a_message_that_comes_back_is_not_written_on_twice(log: LogFile) -> None:
    again = sealed(MESSAGE) + MESSAGE
    verdict = run(handler(log, verify_local=True), again, client_address=OURSELVES)
    assert verdict.changes == []
    assert log.lines[-1]["reason"] == "verified before"


@pytest.mark.parametrize(
    "field",
    [
        sealed(MESSAGE, now=NOW - 3601),
        sealed(MESSAGE, now=NOW + 1000),
        sealed(MESSAGE.replace(b"<1@", b"<2@")),
        sealed(MESSAGE).replace(b"example.nl", b"bank.example"),
        sealed(MESSAGE, subject=spf_subject(STRANGER, b"client.example", b"")),
    ],
    ids=["old", "future", "of another message", "altered", "of another kind"],
)
def test_a_seal_that_does_not_fit_is_no_seal(log: LogFile, field: bytes) -> None:
    verdict = run(handler(log, verify_local=True), field + MESSAGE, client_address=OURSELVES)
    assert deleted(verdict) == [1]
    assert told(verdict) == f"{ID}; dkim=none"


def test_a_stranger_cannot_bring_a_seal(log: LogFile) -> None:
    verdict = run(handler(log), sealed(MESSAGE) + MESSAGE)
    assert deleted(verdict) == [1]
    assert told(verdict) == f"{ID}; dkim=none"


def test_the_spf_field_of_this_client_stays(log: LogFile) -> None:
    value = f"{ID}; spf=pass smtp.mailfrom=a@example.nl"
    subject = spf_subject(STRANGER, b"client.example", b"a@example.nl")
    field = b"Authentication-Results: " + SEALER.seal(value, subject, NOW).encode() + b"\n"
    assert deleted(run(handler(log), field + MESSAGE, mail_from=b"a@example.nl")) == []
    assert deleted(run(handler(log), field + MESSAGE, mail_from=b"b@example.nl")) == [1]
    assert deleted(run(handler(log), field + MESSAGE, mail_from=b"a@example.nl", helo=b"other")) == [1]
    assert deleted(
        run(handler(log), field + MESSAGE, mail_from=b"a@example.nl", client_address="192.0.2.11")
    ) == [1]


def test_unsealed_results_of_a_peer_are_believed_where_the_operator_says_so(log: LogFile) -> None:
    believing = {"believe_unsealed": networks("127.0.0.1/32")}
    daemon = handler(log, tools=believing, verify_local=True)
    assert run(daemon, FORGED + MESSAGE, client_address=OURSELVES).changes == []
    assert deleted(run(daemon, FORGED + MESSAGE)) == [1]


def test_the_last_daemon_removes_the_seals(log: LogFile) -> None:
    daemon = handler(log, tools={"removes_seals": True})
    verdict = run(daemon, sealed(MESSAGE) + MESSAGE, client_address=OURSELVES)
    assert replaced(verdict) == [(1, f"{ID}; dkim=pass header.d=example.nl".encode())]


def test_sealing_may_be_switched_off(log: LogFile) -> None:
    assert "gatepost-seal" in inserted(run(handler(log), MESSAGE))[0]
    assert "gatepost-seal" not in inserted(run(handler(log, seal=False), MESSAGE))[0]


# -- the options

SERVFAIL = {KEY: Answer(Outcome.SERVFAIL)}
TESTING = {KEY: record(rsa_key(), "t=y; ")}


@pytest.mark.parametrize(
    ("option", "raw", "known", "code"),
    [
        ("on_fail", ALTERED, ZONE, "5.7.20"),
        ("on_no_signature", MESSAGE, ZONE, "5.7.20"),
        ("on_key_not_found", SIGNED, {KEY: Answer(Outcome.NXDOMAIN)}, "5.7.20"),
        ("on_temperror", SIGNED, SERVFAIL, "5.7.20"),
        ("on_permerror", craft(MESSAGE, rsa_key(), v="2"), ZONE, "5.7.20"),
        ("on_security", craft(MESSAGE, rsa_key(), a="rsa-sha1"), ZONE, "5.7.21"),
        ("on_security", craft(MESSAGE, rsa_key(), l="3"), ZONE, "5.7.21"),
    ],
)
def test_actions(log: LogFile, option: str, raw: bytes, known: Any, code: str) -> None:
    assert run(handler(log, known), raw).disposition is Disposition.ACCEPT
    verdict = run(handler(log, known, **{option: "reject"}), raw)
    assert verdict.disposition is Disposition.REJECT
    assert verdict.reply is not None
    assert (verdict.reply.code, verdict.reply.enhanced) == (550, code)
    verdict = run(handler(log, known, **{option: "tempfail"}), raw)
    assert verdict.reply is not None
    assert (verdict.reply.code, verdict.reply.enhanced) == (451, "4" + code[1:])
    verdict = run(handler(log, known, **{option: "quarantine"}), raw)
    assert verdict.disposition is Disposition.QUARANTINE
    assert verdict.reason
    assert inserted(verdict)
    assert run(handler(log, known, **{option: "discard"}), raw).disposition is Disposition.DISCARD
    # The option is about this matter and no other.
    assert run(handler(log, **{option: "reject"}), SIGNED).disposition is Disposition.ACCEPT


def test_one_signature_that_passes_is_enough(log: LogFile) -> None:
    raw = craft(SIGNED, rsa_key(), v="2")
    assert run(handler(log, on_permerror="reject", on_fail="reject"), raw).disposition is Disposition.ACCEPT


def test_a_key_in_testing_is_never_acted_on(log: LogFile) -> None:
    verdict = run(handler(log, TESTING, on_fail="reject"), ALTERED)
    assert verdict.disposition is Disposition.ACCEPT
    assert "dkim=fail" in told(verdict)


def test_a_passing_fault_goes_before_lasting_ones(log: LogFile) -> None:
    raw = craft(craft(MESSAGE, rsa_key()), rsa_key(), v="2")
    verdict = run(handler(log, SERVFAIL, on_temperror="tempfail", on_permerror="reject"), raw)
    assert verdict.disposition is Disposition.TEMPFAIL


@pytest.mark.parametrize(("mode", "result"), [("ignore", "pass"), ("policy", "policy")])
def test_required_headers(log: LogFile, mode: str, result: str) -> None:
    twice = SIGNED.replace(b"Subject: an", b"Subject: other\nSubject: an")
    assert f"dkim={result}" in told(run(handler(log, required_headers=mode), twice))
    assert "dkim=pass" in told(run(handler(log, required_headers=mode), SIGNED))


def test_required_headers_refused(log: LogFile) -> None:
    twice = SIGNED.replace(b"Subject: an", b"Subject: other\nSubject: an")
    verdict = run(handler(log, required_headers="reject"), twice)
    assert verdict.reply is not None
    assert verdict.reply.text == "Message breaks RFC 5322 section 3.6: 2 Subject fields"
    assert run(handler(log, required_headers="reject"), SIGNED).disposition is Disposition.ACCEPT


def test_a_header_beyond_the_limits_is_refused(log: LogFile) -> None:
    verdict = run(handler(log), SIGNED, oversized="more than 1000 header fields")
    assert verdict.disposition is Disposition.REJECT
    assert log.lines[-1]["reason"] == "more than 1000 header fields"


def test_ten_thousand_signatures(log: LogFile) -> None:
    daemon = handler(log, {}, {})
    verdict = run(daemon, craft(MESSAGE, rsa_key()).replace(MESSAGE, b"") * 10_000 + MESSAGE)
    assert told(verdict).count("dkim=") == 10
    assert log.lines[-1]["signatures_ignored"] == 9990
    resolver = daemon.tools.verifier.resolver
    assert isinstance(resolver, FixedResolver)
    assert resolver.questions == [KEY]


def test_an_old_postfix_is_named_once(log: LogFile) -> None:
    daemon = handler(log)
    for _ in range(2):
        run(daemon, MESSAGE, macros={"v": "Postfix 3.7.10"})
    assert sum("removes the wrong header field" in str(line.get("message")) for line in log.lines) == 1


def test_at_the_border_seals_stay_for_the_second_pass(log: LogFile) -> None:
    value = f"{ID}; spf=pass smtp.mailfrom=a@example.nl"
    subject = spf_subject(STRANGER, b"client.example", b"a@example.nl")
    field = b"Authentication-Results: " + SEALER.seal(value, subject, NOW).encode() + b"\n"
    verdict = run(handler(log, tools={"removes_seals": True}), field + MESSAGE, mail_from=b"a@example.nl")
    assert (deleted(verdict), replaced(verdict)) == ([], [])
