"""``gatepost spf``: an SPF check mechanism by mechanism, with every DNS question and the counts against the limits.

Exit status: 1 where the sender's result (that of MAIL FROM; that of HELO for
the null sender) is fail, temperror or permerror, otherwise 0.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Iterable

from gatepost.cli.asking import add_optional_config, answer_words, dns_of, optional_config, record_texts
from gatepost.cli.status import FINE, NOT_IN_ORDER, USAGE
from gatepost.cli.terminal import styled
from gatepost.config.sections import Dns
from gatepost.dns.budget import Budget
from gatepost.dns.resolver import Resolver
from gatepost.dns.zone import Zone
from gatepost.networks import parse_address
from gatepost.spf.check import Check
from gatepost.spf.questions import MAX_VOID_LOOKUPS
from gatepost.spf.report import says
from gatepost.spf.result import Identity, SpfResult, safe
from gatepost.spf.result import Verdict as SpfVerdict
from gatepost.spf.trace import Asked, Record, Term, Trace, Verdict

EXAMPLE = """gatepost spf 192.0.2.1 bob@example.org mail.example.org
  gatepost spf 2001:db8::1 '<>' mail.example.org --json"""
EXIT_STATUS = (
    "0 nothing fails, 1 the sender's result (that of HELO for the null sender) is fail, temperror "
    "or permerror, 2 wrong arguments, 78 the configuration cannot be used"
)

_MAX_LOOKUPS = 10
_BAD = (SpfVerdict.FAIL, SpfVerdict.TEMPERROR, SpfVerdict.PERMERROR)
_NAMES = {Identity.HELO: "HELO", Identity.MAIL_FROM: "MAIL FROM"}
_MATCHED = {True: "matches", False: "does not match", None: "ends the evaluation"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("ip", metavar="IP", help="the client's address")
    parser.add_argument("mail_from", metavar="FROM", help="the sender, MAIL FROM; '<>' for the null sender")
    parser.add_argument("helo", metavar="HELO", help="what the client calls itself")
    add_optional_config(parser, "its dns:")
    parser.add_argument("--json", action="store_true", help="report as one JSON object on standard output")


def main(arguments: argparse.Namespace) -> int:
    """Check, report, and give 0, 1 or 2."""
    if parse_address(arguments.ip) is None:
        print(f"gatepost spf: {safe(arguments.ip)} is no IP address", file=sys.stderr)
        return USAGE
    mail_from = arguments.mail_from.removeprefix("<").removesuffix(">")
    checks = asyncio.run(
        _checked(
            *dns_of(optional_config(arguments.config)),
            arguments.ip,
            _octets(arguments.helo),
            _octets(mail_from),
        )
    )
    if arguments.json:
        print(json.dumps({"client": arguments.ip, "checks": [_report(*each) for each in checks]}, indent=2))
    else:
        for number, (result, trace) in enumerate(checks):
            if number:
                print()
            said = safe(mail_from if result.identity is Identity.MAIL_FROM else arguments.helo)
            print(styled(f"{_NAMES[result.identity]} {said} from {arguments.ip}", "bold", sys.stdout))
            for line in _lines(trace):
                print(f"  {line}")
            _print_result(result, arguments.ip)
    sender, _ = checks[-1]
    return NOT_IN_ORDER if sender.verdict in _BAD else FINE


async def _checked(
    settings: Dns, zone: Zone | None, client: str, helo: bytes, mail_from: bytes
) -> list[tuple[SpfResult, Trace | None]]:
    """Check HELO, and then MAIL FROM unless it is empty."""
    async with Resolver(settings, zone=zone) as resolver:
        found = []
        for sender in dict.fromkeys((b"", mail_from)):
            check = Check(resolver, Budget(settings), client, helo, sender, traced=True)
            found.append((check.now() or await check.finish(), check.trace))
        return found


def _print_result(result: SpfResult, client: str) -> None:
    word = styled(result.verdict, "red" if result.verdict in _BAD else "bold", sys.stdout)
    print(f"  result: {word}, {says(result, client)}")
    if result.verdict is SpfVerdict.NONE and result.problem:
        print(f"  why: {result.problem}")
    if result.mechanism:
        print(f"  decided by: {result.mechanism}")
    if result.explanation:
        print(f"  the domain explains: {result.explanation}")
    if result.record or result.lookups:
        print(f"  terms that cost look-ups: {result.lookups} of at most {_MAX_LOOKUPS}")
        print(f"  look-ups that found nothing: {result.void_lookups} of at most {MAX_VOID_LOOKUPS}")


def _lines(trace: Trace | None) -> Iterable[str]:
    """The steps as lines; what is asked for a mechanism stands below it, a step to the right."""
    evaluating: set[int] = set()
    for step in trace.steps if trace else ():
        indent = "    " * step.depth
        match step:
            case Asked():
                void = " (counts as found nothing)" if step.void else ""
                deeper = "    " if step.depth in evaluating else "  "
                yield f"{indent}{deeper}asked {step.rdtype} {safe(step.name)}: {_answer(step)}{void}"
            case Record():
                text = safe(step.text, 2000) if step.text else "no SPF record"
                yield f"{indent}{safe(step.domain)}: {text}"
            case Term():
                evaluating.add(step.depth)
                count = f" (look-up {step.lookup} of {_MAX_LOOKUPS})" if step.lookup else ""
                yield f"{indent}  {safe(step.text)}{count}: {_MATCHED[step.matched]}"
            case Verdict():
                evaluating.discard(step.depth)
                yield f"{indent}{safe(step.domain)} gives {step.word}"


def _answer(step: Asked) -> str:
    if step.rdtype == "TXT" and len(step.answer.records) > 1:
        return f"{len(step.answer.records)} records"
    return answer_words(step.answer)


def _report(result: SpfResult, trace: Trace | None) -> dict[str, object]:
    return {
        "identity": result.identity.value,
        "domain": result.domain,
        "result": result.verdict.value,
        "mechanism": result.mechanism,
        "record": safe(result.record, 65536),
        "explanation": result.explanation,
        "problem": result.problem,
        "lookups": result.lookups,
        "void_lookups": result.void_lookups,
        "steps": [_step(step) for step in trace.steps] if trace else [],
    }


def _step(step: Asked | Record | Term | Verdict) -> dict[str, object]:
    match step:
        case Asked():
            return {
                "depth": step.depth,
                "asked": safe(step.name),
                "type": step.rdtype,
                "outcome": step.answer.outcome.value,
                "answer": record_texts(step.answer),
                "void": step.void,
            }
        case Record():
            return {"depth": step.depth, "domain": safe(step.domain), "record": safe(step.text, 65536)}
        case Term():
            return {
                "depth": step.depth,
                "term": safe(step.text),
                "lookup": step.lookup or None,
                "matched": step.matched,
            }
        case Verdict():
            return {"depth": step.depth, "domain": safe(step.domain), "result": step.word}


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
