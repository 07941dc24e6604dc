"""``gatepost dmarc``: what DMARC makes of a domain, name by name.

Exit status: 0 a policy applies to mail from the domain, 1 none does or the DNS
did not tell, 2 wrong arguments, 78 the configuration cannot be used.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Iterator
from functools import partial

from gatepost.cli.asking import (
    LONGEST_RECORD,
    add_optional_config,
    add_zone,
    answer_words,
    dns_of,
    optional_config,
    record_texts,
)
from gatepost.cli.options import add_json
from gatepost.cli.status import FINE, NOT_IN_ORDER, USAGE
from gatepost.cli.terminal import styled, table, wrapped
from gatepost.config.sections import Dns
from gatepost.config.words import quoted
from gatepost.dmarc.evaluate import TREE_WALK, Method, Verdict, by_suffix_list
from gatepost.dmarc.record import Record
from gatepost.dmarc.tags import Text
from gatepost.dmarc.walk import MAX_QUERIES
from gatepost.dns.answer import Outcome
from gatepost.dns.budget import Budget
from gatepost.dns.noting import NotingResolver
from gatepost.dns.zone import Zone, ZoneError
from gatepost.domains import InvalidNameError, to_ascii
from gatepost.examine.domain import Applied, DomainReport, Step, Stop, look_into
from gatepost.spf.result import safe
from gatepost.suffixes import organizational_domain_by_list

EXAMPLE = """gatepost dmarc news.example.org
  gatepost dmarc example.org --json"""
EXIT_STATUS = (
    "0 a policy applies, 1 none applies or the DNS did not tell, 2 wrong arguments, 78 the "
    "configuration cannot be used"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument(
        "domain", metavar="DOMAIN", help="the domain of a From field; may be internationalized"
    )
    parser.add_argument(
        "--psl",
        action="store_true",
        help="go by the public suffix list, as RFC 7489 does, instead of the tree walk of RFC 9989",
    )
    add_optional_config(parser, "its dns:")
    add_zone(parser)
    add_json(parser)


def main(arguments: argparse.Namespace) -> int:
    """Look, report, and give 0, 1 or 2."""
    try:
        domain = to_ascii(arguments.domain)
        settings, zone = dns_of(optional_config(arguments.config), arguments.zone)
    except InvalidNameError as error:
        print(f"gatepost dmarc: {quoted(arguments.domain)}: {error}", file=sys.stderr)
        return USAGE
    except ZoneError as error:
        print(f"gatepost dmarc: {error}", file=sys.stderr)
        return USAGE
    method = by_suffix_list(organizational_domain_by_list()) if arguments.psl else TREE_WALK
    report = asyncio.run(_looked_into(domain, method, settings, zone))
    if arguments.json:
        print(json.dumps(_json(report), indent=2))
    else:
        for line in _lines(report):
            print(line)
    return FINE if report.own.applies else NOT_IN_ORDER


async def _looked_into(domain: str, method: Method, settings: Dns, zone: Zone | None) -> DomainReport:
    async with NotingResolver(settings, zone=zone) as resolver:
        return await look_into(domain, method, resolver, partial(Budget, settings))


# -- for people


def _lines(report: DomainReport) -> Iterator[str]:
    way = "public suffix list, RFC 7489" if report.historic else "tree walk, RFC 9989"
    yield styled(f"DMARC of {report.domain} ({way})", "bold", sys.stdout)
    yield ""
    for number, step in enumerate(report.steps, 1):
        if number == 2 and report.skipped:
            yield from wrapped(
                f"{report.skipped} names are left out: a walk asks {MAX_QUERIES} at most", "   "
            )
        yield from _step_lines(number, step)
    yield from wrapped(_why_stopped(report), "   ")
    yield ""
    yield from _applied_lines(report)
    if report.own.applies:
        yield from _alignment_lines(report)
    for warning in report.warnings:
        first, *more = wrapped(safe(warning, LONGEST_RECORD), "warning: ", "  ")
        yield first.replace("warning:", styled("warning:", "yellow", sys.stdout), 1)
        yield from more


def _step_lines(number: int, step: Step) -> Iterator[str]:
    yield f"{number}  {step.asked}"
    if step.answer.outcome is not Outcome.FOUND:
        yield from wrapped(answer_words(step.answer), "     ")
        return
    if step.several:
        yield "     several DMARC records, which count as none:"
    for text in step.texts:
        yield from wrapped(safe(text.text, LONGEST_RECORD), "     ", "       ")
        if text.record is None:
            yield from wrapped(text.problem or "no DMARC record", "       ")
        elif not step.several:
            for tag in text.tags[1:]:
                yield from wrapped(safe(tag.meaning, LONGEST_RECORD), f"       {safe(tag.name, 20):5}  ")


def _why_stopped(report: DomainReport) -> str:
    last = report.steps[-1]
    match report.stop:
        case Stop.NOT_PSD:
            return f"the walk ends here: psd=n makes {last.domain} the organizational domain"
        case Stop.PSD:
            return f"the walk ends here: psd=y makes {last.domain} a public suffix"
        case Stop.LIST:
            return f"no other name counts: by the list the organizational domain is {report.organization}"
        case Stop.TOP:
            return "the walk ends here: no name is left"


def _applied_lines(report: DomainReport) -> Iterator[str]:
    evaluation = report.own.evaluation
    rows = [("organizational domain", report.organization)]
    if report.own.applies:
        rows.append(("record that applies", f"that of {evaluation.policy_domain}"))
    rows.append((f"mail from {report.domain}", _policy(report.own)))
    rows.append(("from a subdomain", _policy(report.subdomain)))
    rows.append(("from one that is not there", _policy(report.nonexistent)))
    heading = [name for name, _ in rows]
    for name, line in zip(heading, table(rows), strict=True):
        yield from wrapped(line[len(max(heading, key=len)) + 2 :], f"{name:{len(max(heading, key=len))}}  ")
    if evaluation.verdict is Verdict.TEMPERROR:
        yield "The DNS did not tell: mail gets dmarc=temperror."


def _policy(applied: Applied) -> str:
    evaluation = applied.evaluation
    if evaluation.verdict is Verdict.TEMPERROR:
        return f"not known: {evaluation.reason}"
    if not applied.applies:
        return f"DMARC does not apply: {evaluation.reason}"
    where = f"{applied.tag}= of {evaluation.policy_domain}"
    if evaluation.applied is not evaluation.policy:
        return f"{evaluation.applied}, in testing towards {evaluation.policy} ({where})"
    return f"{evaluation.policy} ({where})"


def _alignment_lines(report: DomainReport) -> Iterator[str]:
    record = report.own.evaluation.record
    assert record is not None
    own, organization = report.domain, report.organization
    wide = f"{organization} or any domain below it that has no organization of its own"
    if record.strict_dkim == record.strict_spf:
        which = f"{own} itself (strict)" if record.strict_dkim else f"{wide} (relaxed)"
        text = f"Mail passes with a signature of, or SPF for, {which}."
    else:
        dkim, spf = (own, wide) if record.strict_dkim else (wide, own)
        text = (
            f"Mail passes with a signature of {dkim} ({_mode(record.strict_dkim)}),"
            f" or with SPF for {spf} ({_mode(record.strict_spf)})."
        )
    yield from wrapped(text)


def _mode(strict: bool) -> str:
    return "strict" if strict else "relaxed"


# -- for programs


def _json(report: DomainReport) -> dict[str, object]:
    return {
        "domain": report.domain,
        "method": "psl" if report.historic else "tree",
        "exists": report.exists,
        "steps": [_step_json(step) for step in report.steps],
        "skipped": report.skipped,
        "stop": report.stop.value,
        "organizational_domain": report.organization,
        "policy": _applied_json(report.own),
        "subdomain_policy": _applied_json(report.subdomain),
        "nonexistent_policy": _applied_json(report.nonexistent),
        "alignment": _alignment_json(report.own.evaluation.record if report.own.applies else None),
        "warnings": [safe(warning, LONGEST_RECORD) for warning in report.warnings],
    }


def _step_json(step: Step) -> dict[str, object]:
    return {
        "name": step.asked,
        "outcome": step.answer.outcome.value,
        "detail": safe(step.answer.detail),
        "answer": record_texts(step.answer),
        "several": step.several,
        "records": [_text_json(text) for text in step.texts if text.record is not None or text.problem],
    }


def _text_json(text: Text) -> dict[str, object]:
    return {
        "text": safe(text.text, LONGEST_RECORD),
        "valid": text.record is not None,
        "problem": text.problem or None,
        "tags": [
            {
                "tag": safe(tag.name),
                "value": safe(tag.value, LONGEST_RECORD),
                "meaning": safe(tag.meaning, LONGEST_RECORD),
            }
            for tag in text.tags
        ],
        "flaws": [safe(flaw, LONGEST_RECORD) for flaw in text.flaws],
    }


def _applied_json(applied: Applied) -> dict[str, object]:
    evaluation = applied.evaluation
    known = applied.applies
    return {
        "applies": known,
        "reason": None if known else evaluation.reason,
        "temporary": evaluation.verdict is Verdict.TEMPERROR,
        "domain": evaluation.policy_domain or None,
        "tag": applied.tag or None,
        "policy": evaluation.policy.value if known else None,
        "applied": evaluation.applied.value if known else None,
    }


def _alignment_json(record: Record | None) -> dict[str, str] | None:
    if record is None:
        return None
    return {"dkim": _mode(record.strict_dkim), "spf": _mode(record.strict_spf)}
