"""The DMARC daemon and the results of others: what it believes, what it leaves for the next, what it removes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.harness.log_file import LogFile
from tests.unit.daemons.dmarc_support import (
    ANNA,
    DKIM_PASS,
    DOMAIN,
    ELSEWHERE,
    FAILED,
    INSIDE,
    PASSED,
    SIGNED,
    action,
    dmarc,
    field,
    questions,
    result,
    sealed,
    sealed_spf,
    told,
)
from tests.unit.daemons.support import (
    ID,
    NOW,
    OURSELVES,
    deleted,
    inserted,
    networks,
    replaced,
    run,
)
from tests.unit.dkim.support import MESSAGE

COPIED = MESSAGE.replace(b"<1@example.nl>", b"<2@example.nl>")


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize(
    ("results", "verdict"),
    [
        (DKIM_PASS, "pass"),
        ("dkim=pass header.i=@mail.example.nl", "pass"),
        ("dkim=fail header.d=example.nl; dkim=pass header.d=example.nl", "pass"),
        ("dkim=pass header.d=other.example", "fail"),
        ("dkim=fail header.d=example.nl", "fail"),
        ("dkim=policy header.d=example.nl", "fail"),
        ("dkim=none", "fail"),
        ("dkim=pass", "fail"),
        ("dkim=temperror header.d=example.nl", "temperror"),
        ("dkim=temperror header.d=other.example", "fail"),
    ],
)
def test_sealed_dkim_results(log: LogFile, results: str, verdict: str, inside: bool) -> None:
    """Believed inside, and at the border too: another milter of the same session wrote them a moment ago."""
    envelope = {**ELSEWHERE, **({"client_address": OURSELVES} if inside else {})}
    # SIGNED would pass by itself: what has been verified is not verified again.
    judged = run(dmarc(log, DOMAIN, mode="stamp"), sealed(SIGNED, results) + SIGNED, **envelope)
    assert result(judged) == verdict
    assert "dkim=" not in told(judged)
    assert deleted(judged) == []


@pytest.mark.parametrize(
    "forged",
    [
        field(f"{ID}; {DKIM_PASS}"),
        field(f"{ID.upper()} 1; {DKIM_PASS}"),
        sealed(COPIED, DKIM_PASS),
        sealed(MESSAGE, DKIM_PASS, now=NOW - 3601),
        sealed(MESSAGE, DKIM_PASS, now=NOW + 301),
        sealed(MESSAGE, "dkim=fail header.d=example.nl").replace(b"fail", b"pass"),
        field(f"{ID}; spf=pass smtp.mailfrom=example.nl"),
        sealed_spf(PASSED, mail_from=b"bert@example.nl"),
        sealed_spf(PASSED, now=NOW - 3601),
        field(f"{ID}; dmarc=pass header.from=example.nl"),
        sealed(COPIED, "dmarc=pass header.from=example.nl"),
    ],
    ids=range(11),
)
@pytest.mark.parametrize("envelope", [{**ANNA, "client_address": "198.51.100.66"}, INSIDE], ids=["out", "in"])
def test_forged_and_copied_results_do_not_help(log: LogFile, forged: bytes, envelope: dict[str, Any]) -> None:
    verdict = run(dmarc(log), forged + MESSAGE, **envelope)
    assert (action(verdict), result(verdict)) == ("reject", "fail")
    assert deleted(verdict) == [1]
    assert log.lines[-1]["fields_removed"] == 1


@pytest.mark.parametrize(
    ("spf", "envelope", "kept"),
    [
        (sealed_spf(PASSED), ANNA, True),
        (sealed_spf(PASSED), {**ANNA, "client_address": "198.51.100.66"}, False),
        (sealed_spf(PASSED), {**ANNA, "helo": b"other.example"}, False),
        (sealed_spf(PASSED), {"mail_from": b"bert@example.nl"}, False),
        # behind a filter only MAIL FROM can be compared
        (sealed_spf(PASSED), INSIDE, True),
        (sealed_spf(PASSED, client="198.51.100.66", helo=b"whoever"), INSIDE, True),
        (sealed_spf(PASSED), {**INSIDE, "mail_from": b"bert@example.nl"}, False),
    ],
)
def test_sealed_spf_results(log: LogFile, spf: bytes, envelope: dict[str, Any], kept: bool) -> None:
    daemon = dmarc(log, {**DOMAIN, "example.nl": "v=spf1 -all"})
    verdict = run(daemon, spf + MESSAGE, **envelope)
    assert result(verdict) == ("pass" if kept else "fail")
    assert deleted(verdict) == ([] if kept else [1])
    assert ("example.nl", "TXT") not in questions(daemon) or not kept


@pytest.mark.parametrize(("age", "believed"), [(0, True), (60, True), (61, False), (3600, False)])
def test_at_the_border_a_milter_wrote_a_moment_ago_or_not_at_all(
    log: LogFile, age: int, believed: bool
) -> None:
    """A field that a bounce has brought back to a stranger, while no dkim-verify stands before us."""
    verdict = run(dmarc(log), sealed(MESSAGE, DKIM_PASS, now=NOW - age) + MESSAGE, **ELSEWHERE)
    assert result(verdict) == ("pass" if believed else "fail")
    assert deleted(verdict) == ([] if believed else [1])


def test_only_the_topmost_spf_field_is_believed_behind_a_filter(log: LogFile) -> None:
    """Ours stands on top; one below it has come with the message, whatever it tells of MAIL FROM."""
    ours = sealed_spf([("helo", "none", "client.example")])
    copied = sealed_spf(PASSED, client="203.0.113.5", now=NOW - 1800)
    verdict = run(dmarc(log), ours + copied + MESSAGE, **INSIDE)
    assert (action(verdict), result(verdict)) == ("reject", "fail")
    assert deleted(verdict) == [2]


def test_of_two_sealed_spf_results_the_topmost_counts(log: LogFile) -> None:
    """Above stands what our policy service says of this client; below, what a sender brought from elsewhere."""
    raw = sealed_spf(FAILED, client="198.51.100.66") + sealed_spf(PASSED) + MESSAGE
    assert result(run(dmarc(log), raw, **INSIDE)) == "fail"


@pytest.mark.parametrize(
    ("mail_from", "results", "verdict"),
    [
        (
            b"anna@example.nl",
            [("helo", "pass", "example.nl"), ("mailfrom", "fail", "anna@example.nl")],
            "fail",
        ),
        (b"anna@example.nl", [("helo", "pass", "example.nl")], "fail"),
        (b"", [("helo", "pass", "mail.example.nl")], "pass"),
        (b"", [("helo", "fail", "mail.example.nl")], "fail"),
        (b"", [("helo", "pass", "other.example")], "fail"),
    ],
)
def test_helo_counts_for_the_null_sender_alone(
    log: LogFile, mail_from: bytes, results: list[tuple[str, str, str]], verdict: str
) -> None:
    raw = sealed_spf(results, mail_from=mail_from) + MESSAGE
    assert result(run(dmarc(log), raw, **{**INSIDE, "mail_from": mail_from})) == verdict


@pytest.mark.parametrize(
    ("value", "verdict"),
    [
        (f"{ID}; {DKIM_PASS}", "pass"),
        (f"{ID}; spf=pass smtp.mailfrom=anna@example.nl", "pass"),
        (f"{ID}; spf=pass smtp.mailfrom=x@other.example; dkim=fail header.d=example.nl", "fail"),
        # Nobody knows which of the two was meant.
        (f"{ID}; dkim=pass header.d=other.example header.d=example.nl", "fail"),
        (f"{ID}; dkim=pass header.d=example.nl header.d=other.example header.i=@example.nl", "fail"),
        (f"{ID}; dkim=pass header.d=example.nl header.d=example.nl", "pass"),
        (f"{ID}; dkim=none; spf=pass smtp.mailfrom=x@other.example smtp.mailfrom=anna@example.nl", "fail"),
        (f"{ID}; dkim=pass header.d=example.nl; dkim=", "fail"),
        (f"other.example; {DKIM_PASS}", "fail"),
    ],
)
def test_unsealed_results_of_a_peer(log: LogFile, value: str, verdict: str) -> None:
    believing = {"believe_unsealed": networks("127.0.0.0/8")}
    assert result(run(dmarc(log, tools=believing), field(value) + MESSAGE, **INSIDE)) == verdict
    # … from there alone
    outside = {**ANNA, "client_address": "198.51.100.66"}
    assert result(run(dmarc(log, tools=believing), field(value) + MESSAGE, **outside)) == "fail"


def test_received_spf_is_no_evidence(log: LogFile) -> None:
    raw = b"Received-SPF: pass client-ip=192.0.2.10; envelope-from=anna@example.nl\n" + MESSAGE
    assert result(run(dmarc(log), raw, **INSIDE)) == "fail"


# -- between our daemons

EVALUATED = "dmarc=fail (p=reject dis=quarantine) header.from=example.nl"


@pytest.mark.parametrize("mode", ["stamp", "enforce"])
def test_what_was_evaluated_is_not_evaluated_again(log: LogFile, mode: str) -> None:
    daemon = dmarc(log, mode=mode)
    verdict = run(daemon, sealed(MESSAGE, EVALUATED) + MESSAGE, **INSIDE)
    assert (action(verdict), list(verdict.changes)) == ("accept", [])
    assert questions(daemon) == []
    assert log.lines[-1]["reason"] == "evaluated before"


def test_stamp_evaluates_what_the_border_did_not(log: LogFile) -> None:
    verdict = run(dmarc(log, mode="stamp"), sealed(MESSAGE, "dkim=none") + MESSAGE, **INSIDE)
    assert told(verdict) == "dmarc=fail (p=reject dis=none) header.from=example.nl policy.dmarc=reject"


def test_the_last_daemon_removes_all_seals(log: LogFile) -> None:
    fields = sealed(MESSAGE, EVALUATED) + sealed(MESSAGE, "dkim=none") + sealed_spf(FAILED)
    daemon = dmarc(log, mode="stamp", tools={"removes_seals": True})
    verdict = run(daemon, field("other.example; none") + fields + MESSAGE, **INSIDE)
    assert replaced(verdict) == [
        (2, f"{ID}; {EVALUATED}".encode()),
        (3, f"{ID}; dkim=none".encode()),
        (4, f"{ID}; spf=fail smtp.mailfrom=anna@example.nl".encode()),
    ]
    added = run(daemon, MESSAGE, **INSIDE)
    assert "gatepost-seal" not in inserted(added)[0]


def test_our_field_is_sealed_for_the_next_daemon(log: LogFile) -> None:
    first = run(dmarc(log, on_reject="accept"), MESSAGE, **ELSEWHERE)
    (value,) = inserted(first)
    assert "gatepost-seal" in value
    again = run(dmarc(log, mode="stamp"), field(value) + MESSAGE, **INSIDE)
    assert list(again.changes) == []
    assert "gatepost-seal" not in inserted(run(dmarc(log, seal=False), MESSAGE, **ELSEWHERE))[0]


def test_forged_fields_go_and_others_stay(log: LogFile) -> None:
    forged, foreign = field(f"{ID}; {DKIM_PASS}"), field(f"other.example; {DKIM_PASS}")
    daemon = dmarc(log)
    assert deleted(run(daemon, foreign + forged + foreign + forged + MESSAGE, **ANNA)) == [2, 4]
    assert daemon.tools.metrics.headers_stripped._value.get() == 2
