"""The report of ``gatepost verify``, for people."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from gatepost.cli.asking import answer_words
from gatepost.cli.terminal import styled, wrapped
from gatepost.dkim.result import Cause
from gatepost.dkim.result import Verdict as DkimVerdict
from gatepost.dkim.signature import Signature
from gatepost.dmarc.evaluate import Evaluation, Verdict
from gatepost.examine.report import Alignment, Foreign, Report, SignatureReport
from gatepost.examine.saved import Saved
from gatepost.spf.report import says
from gatepost.spf.result import Identity, SpfResult, safe
from milters.dmarc_action import Action
from milters.handler import Disposition, InsertHeader

_INDENT = " " * 7
_MOST_NAMES = 40


def lines(report: Report, saved: Saved, action: Action) -> Iterator[str]:
    """The lines to print, at most 80 columns where words allow it."""
    yield styled(
        f"A message of {report.author or 'nobody in particular'}, judged as of {time_text(report.now)}",
        "bold",
        sys.stdout,
    )
    yield from _notes(report, saved)
    if report.evaluation is not None:
        yield ""
        yield from _dkim(report)
        yield ""
        yield from _spf(report)
        yield ""
        yield from _dmarc(report, report.evaluation)
    yield from _row("enforcing", enforcing(action))
    if report.foreign:
        yield ""
        yield "Authentication-Results in the message: whoever wrote them, they prove nothing"
        for foreign in report.foreign:
            yield from wrapped(_foreign(foreign), _INDENT, _INDENT + "  ")
    trouble = [(asked, answer) for asked, answer in report.asked.items() if answer.temporary]
    if trouble:
        yield ""
        yield "DNS questions without an answer"
        for asked, answer in trouble:
            text = f"{asked.rdtype} {safe(asked.name)}: {answer_words(answer)}"
            yield from wrapped(text, _INDENT, _INDENT + "  ")
    yield ""
    if report.failures:
        words = {"dkim": "DKIM", "spf": "SPF", "dmarc": "DMARC", "message": "the header"}
        yield styled(f"fails: {', '.join(words[each] for each in report.failures)}", "red", sys.stdout)
    else:
        yield styled("nothing fails", "bold", sys.stdout)


def time_text(seconds: float) -> str:
    """A time in UTC, or what it is where no calendar reaches that far."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return "a time without a date"


def enforcing(action: Action) -> str:
    """What dmarc-enforce would do with the message."""
    verdict = action.verdict
    if verdict.reply is not None:
        what = f"refused with {verdict.reply.code} {verdict.reply.enhanced} {verdict.reply.text}"
    elif verdict.disposition is Disposition.QUARANTINE:
        what = f"put on hold: {verdict.reason}"
    elif any(isinstance(change, InsertHeader) for change in verdict.changes):
        what = "delivered with an X-DMARC-Quarantine field"
    else:
        what = "delivered"
    override = action.override.replace("_", " ")
    return f"it would be {what}" + (f" (and not by the policy: {override})" if override else "")


def _notes(report: Report, saved: Saved) -> Iterator[str]:
    """What is odd about the message as a whole."""
    if saved.mbox:
        yield from wrapped('the "From " line of a mailbox on top is left out', "note: ", "  ")
    if saved.stray:
        yield from wrapped(
            f"line {saved.stray} is no header field, so the body begins with it", "note: ", "  "
        )
    if report.message.oversized:
        yield from wrapped(f"nothing is judged: {report.message.oversized}", "note: ", "  ")
    if report.header_problem:
        yield from wrapped(f"the header breaks RFC 5322 §3.6: {report.header_problem}", "note: ", "  ")
    if any(each.result.cause is Cause.TIME for each in report.signatures):
        yield from wrapped("signatures hold for a time; --date judges as of another", "note: ", "  ")


# -- DKIM


def _dkim(report: Report) -> Iterator[str]:
    if not report.signatures:
        yield f"{_head('DKIM')}none: the message is not signed"
    for each in report.signatures:
        yield from _signature(each)
    if report.beyond:
        yield from wrapped(f"{report.beyond} more signatures are left alone", _INDENT)


def _signature(report: SignatureReport) -> Iterator[str]:
    result = report.result
    good = result.verdict is DkimVerdict.PASS
    word = styled(result.verdict, "bold" if good else "red", sys.stdout)
    reason = f": {safe(result.reason)}" if result.reason else ""
    yield f"{_head('DKIM')}{word}{reason}"
    key = f", {result.key_bits} bits" if result.key_bits else ""
    notes = (", in testing" if result.testing else "") + (", DNSSEC" if result.authentic else "")
    algorithm = f" ({safe(result.algorithm)}{key}{notes})" if result.algorithm else ""
    if result.domain or algorithm:
        yield from _row(
            "domain", f"{result.domain or 'not told'}, selector {result.selector or 'not told'}{algorithm}"
        )
    signature = report.signature
    if signature is None:
        return
    if signature.identity != f"@{signature.domain}":
        yield from _row("identity", safe(signature.identity))
    names = [name.decode("ascii") for name in signature.signed]
    yield from _row("signed", _names(dict.fromkeys(names)))
    if report.unsigned:
        yield from _row("unsigned", _names(report.unsigned))
    if report.oversigned:
        yield from _row("oversigned", f"{_names(report.oversigned)}: none can be added")
    yield from _row("body", _body(signature, report.body_matches))
    if signature.timestamp is not None:
        yield from _row("made", time_text(signature.timestamp))
    if signature.expiration is not None:
        yield from _row("holds till", time_text(signature.expiration))


def _body(signature: Signature, matches: bool | None) -> str:
    if signature.length is not None:
        return f"its first {signature.length} octets are {'' if matches else 'not '}as they were signed"
    return "the body is as it was signed" if matches else "the body is not the one that was signed"


def _names(names: Iterable[str]) -> str:
    shown = list(names)
    more = f" and {len(shown) - _MOST_NAMES} more" if len(shown) > _MOST_NAMES else ""
    return safe(", ".join(shown[:_MOST_NAMES]), 4000) + more


# -- SPF and DMARC


def _spf(report: Report) -> Iterator[str]:
    result = report.spf
    if result is None:
        yield f"{_head('SPF')}not checked: that takes --ip, --helo and --from"
        return
    bad = "spf" in report.failures
    yield f"{_head('SPF')}{styled(result.verdict, 'red' if bad else 'bold', sys.stdout)}"
    envelope = report.message.envelope
    said = envelope.mail_from if result.identity is Identity.MAIL_FROM else envelope.helo
    name = "MAIL FROM" if result.identity is Identity.MAIL_FROM else "HELO"
    yield from _row("checked", f"{name} {safe(said.decode('utf-8', 'replace'))}")
    yield from _row("why", _spf_why(result, envelope.client_address))
    if result.mechanism:
        yield from _row("decided by", result.mechanism)
    if result.explanation:
        yield from _row("they say", result.explanation)


def _spf_why(result: SpfResult, client: str) -> str:
    sentence = says(result, client)
    return f"{sentence}: {result.problem}" if result.problem and result.problem not in sentence else sentence


def _dmarc(report: Report, evaluation: Evaluation) -> Iterator[str]:
    bad = "dmarc" in report.failures
    word = styled(evaluation.verdict, "red" if bad else "bold", sys.stdout)
    yield f"{_head('DMARC')}{word}" + (f": {safe(evaluation.reason)}" if evaluation.reason else "")
    if report.author:
        organization = f", of the organization {report.organization}" if report.organization else ""
        yield from _row("author", report.author + organization)
    if evaluation.record is not None:
        testing = (
            f", {evaluation.applied} while in testing" if evaluation.applied is not evaluation.policy else ""
        )
        yield from _row("policy", f"{evaluation.policy} by the record of {evaluation.policy_domain}{testing}")
        for alignment in report.alignments:
            yield from _row(alignment.method, related(alignment, report))
        if not report.alignments:
            yield from _row("aligned", "nothing: there is no identifier to compare with the author")
    if evaluation.verdict is Verdict.FAIL and report.spf is None:
        yield from _row("note", "SPF was not checked, and might have passed")


def related(alignment: Alignment, report: Report) -> str:
    """How an identifier is related to the author, in words."""
    who = f"{alignment.domain} ({alignment.result})"
    counts = alignment.result == "pass"
    if alignment.aligned is None:
        return f"{who} may be aligned: the DNS did not tell"
    if alignment.aligned:
        how = "the author's domain" if alignment.domain == report.author else f"of {report.organization} too"
        return f"{who} {'is' if counts else 'would be'} aligned: it is {how}"
    not_aligned = f"{who} {'is not' if counts else 'would not be'} aligned"
    if alignment.strict:
        return f"{not_aligned}: only {report.author} itself is (strict)"
    return f"{not_aligned}: it is of {alignment.organization}"


def _foreign(foreign: Foreign) -> str:
    ours = " (our name: forged, or our own of before)" if foreign.ours else ""
    who = safe(foreign.authserv_id) or "nobody named"
    if foreign.problem:
        return f"cannot be read: {foreign.problem}{ours}"
    said = ", ".join(f"{safe(each.method)}={safe(each.result)}" for each in foreign.results) or "none"
    return f"{who}{ours}: {safe(said, 1000)}"


def _head(method: str) -> str:
    return f"{method:{len(_INDENT)}}"


def _row(name: str, text: str) -> list[str]:
    return wrapped(text, f"{_INDENT}{name + ':':11} ")
