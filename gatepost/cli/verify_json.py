"""The report of ``gatepost verify``, for programs."""

from __future__ import annotations

from gatepost.authres.result import Result
from gatepost.cli.asking import record_texts
from gatepost.dmarc.evaluate import Evaluation
from gatepost.examine.report import Alignment, Foreign, Report, SignatureReport
from gatepost.examine.saved import Saved
from gatepost.spf.result import SpfResult, safe
from milters.dmarc_action import Action

Object = dict[str, object]

_LONGEST = 2000


def as_json(report: Report, saved: Saved, action: Action) -> Object:
    """All of the report, as values for :mod:`json`."""
    envelope = report.message.envelope
    return {
        "failures": report.failures,
        "time": report.now,
        "message": {
            "author": report.author,
            "header_fields": len(report.message.headers),
            "body_size": report.body_size,
            "oversized": report.message.oversized or None,
            "header_problem": report.header_problem or None,
            "mbox": saved.mbox,
            "stray_line": saved.stray or None,
        },
        "envelope": {
            "client": envelope.client_address,
            "helo": _text(envelope.helo),
            "mail_from": _text(envelope.mail_from),
        }
        if report.spf is not None
        else None,
        "dkim": [_signature(each) for each in report.signatures],
        "dkim_ignored": report.beyond,
        "spf": _spf(report.spf) if report.spf is not None else None,
        "dmarc": _dmarc(report, report.evaluation) if report.evaluation is not None else None,
        "enforce": _action(action),
        "authentication_results": [_foreign(each) for each in report.foreign],
        "dns": [
            {
                "name": safe(asked.name),
                "type": asked.rdtype,
                "outcome": answer.outcome.value,
                "detail": safe(answer.detail),
                "answer": record_texts(answer),
            }
            for asked, answer in report.asked.items()
        ],
    }


def _signature(report: SignatureReport) -> Object:
    result, signature = report.result, report.signature
    found: Object = {
        "result": result.verdict.value,
        "cause": result.cause.value,
        "reason": safe(result.reason),
        "domain": result.domain,
        "selector": result.selector,
        "identity": safe(result.identity, _LONGEST),
        "algorithm": result.algorithm,
        "key_bits": result.key_bits or None,
        "key_testing": result.testing,
        "dnssec": result.authentic,
    }
    if signature is not None:
        found |= {
            "canonicalization": f"{signature.header_canonicalization}/{signature.body_canonicalization}",
            "signed": [name.decode("ascii") for name in signature.signed],
            "unsigned": [safe(name) for name in report.unsigned],
            "oversigned": list(report.oversigned),
            "body_matches": report.body_matches,
            "body_length": signature.length,
            "timestamp": signature.timestamp,
            "expiration": signature.expiration,
            "key_name": signature.key_name,
        }
    return found


def _spf(result: SpfResult) -> Object:
    return {
        "result": result.verdict.value,
        "identity": result.identity.value,
        "domain": result.domain,
        "mechanism": result.mechanism,
        "record": safe(result.record, _LONGEST),
        "explanation": result.explanation,
        "problem": result.problem,
        "lookups": result.lookups,
        "void_lookups": result.void_lookups,
    }


def _dmarc(report: Report, evaluation: Evaluation) -> Object:
    known = evaluation.record is not None
    return {
        "result": evaluation.verdict.value,
        "reason": safe(evaluation.reason),
        "organizational_domain": report.organization or None,
        "policy": evaluation.policy.value if known else None,
        "applied": evaluation.applied.value if known else None,
        "policy_domain": evaluation.policy_domain or None,
        "aligned_spf": evaluation.spf or None,
        "aligned_dkim": list(evaluation.dkim),
        "alignment": [_alignment(each) for each in report.alignments],
    }


def _alignment(alignment: Alignment) -> Object:
    return {
        "method": alignment.method,
        "domain": alignment.domain,
        "result": alignment.result,
        "aligned": alignment.aligned,
        "mode": "strict" if alignment.strict else "relaxed",
        "organizational_domain": alignment.organization or None,
    }


def _action(action: Action) -> Object:
    reply = action.verdict.reply
    return {
        "action": action.verdict.disposition.value,
        "disposition": action.disposition,
        "override": action.override or None,
        "reply": f"{reply.code} {reply.enhanced} {reply.text}" if reply is not None else None,
    }


def _foreign(foreign: Foreign) -> Object:
    return {
        "authserv_id": safe(foreign.authserv_id),
        "ours": foreign.ours,
        "problem": foreign.problem or None,
        "results": [_result(each) for each in foreign.results],
    }


def _result(result: Result) -> Object:
    return {
        "method": result.method,
        "result": result.result,
        "reason": safe(result.reason, _LONGEST),
        "comment": safe(result.comment, _LONGEST),
        "properties": {
            f"{each.ptype}.{each.name}".removeprefix("."): safe(each.value, _LONGEST)
            for each in result.properties
        },
    }


def _text(octets: bytes) -> str:
    return safe(octets.decode("utf-8", "replace"), _LONGEST)
