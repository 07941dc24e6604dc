"""All results for one message, and why: DKIM, SPF and DMARC as the daemons find them, and what it brought along."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

from gatepost.address import AddressError, authors
from gatepost.authres.border import FIELD_NAME
from gatepost.authres.read import ARParseError, read
from gatepost.authres.strip import Ids, claims
from gatepost.dkim.body import BodyHasher
from gatepost.dkim.record import parse_record
from gatepost.dkim.result import SignatureResult
from gatepost.dkim.signature import Signature, SignatureError, parse_signature
from gatepost.dkim.verify import Policy, Verification
from gatepost.dmarc.evaluate import Evaluation, Method, Verdict, evaluate
from gatepost.dmarc.evidence import Finding, identifiers
from gatepost.dns.budget import Budget
from gatepost.dns.noting import NotingResolver
from gatepost.dns.steps import Steps, run
from gatepost.examine.report import Alignment, Foreign, Report, SignatureReport
from gatepost.examine.saved import Saved
from gatepost.header_count import count_problem
from gatepost.message import Envelope, HeaderField, Message
from gatepost.spf.check import check

MAX_FOREIGN = 50
"""Authentication-Results fields that are looked at."""

# Written on the way, after signing: nobody expects them to be signed.
_TRACE = (
    "received",
    "return-path",
    "authentication-results",
    "delivered-to",
    "dkim-signature",
    "received-spf",
)


@dataclass(frozen=True, slots=True)
class Rules:
    """By what a message is judged.

    ``now`` is in seconds since 1970. ``ids`` are our own names, None where they
    are not known. ``receiver`` is our name for SPF's explanations.
    """

    policy: Policy
    method: Method
    now: float
    new_budget: Callable[[], Budget]
    ids: Ids | None = None
    receiver: str = "unknown"


async def examine(saved: Saved, envelope: Envelope, rules: Rules, resolver: NotingResolver) -> Report:
    """Read *saved* to its end, then ask the DNS, and judge. Raises OSError where the file cannot be read.

    SPF is checked where *envelope* has a client address.
    """
    message = Message(envelope, saved.headers, saved.oversized)
    report = Report(message, rules.now, foreign=_foreign(message, rules.ids))
    if message.oversized:
        return report
    report.header_problem = count_problem(message.headers)
    verification = Verification(message.headers, rules.policy, rules.now)
    inspection = _Inspection(message.headers, rules.policy.max_signatures)
    for chunk in saved.body():
        verification.body(chunk)
        inspection.body(chunk)
    report.body_size = saved.body_size

    budget = rules.new_budget()
    names = sorted(verification.key_names)
    keys = await asyncio.gather(*(resolver.lookup(name, "TXT", budget) for name in names))
    results = verification.results(dict(zip(names, keys, strict=True)), parse_record)
    report.signatures = inspection.reports(results)
    report.beyond = verification.count - len(results)
    if envelope.client_address:
        report.spf = await check(
            resolver,
            budget,
            envelope.client_address,
            envelope.helo,
            envelope.mail_from,
            receiver=rules.receiver,
        )
    await _dmarc(report, results, rules, resolver)
    report.asked = resolver.answers
    return report


async def _dmarc(
    report: Report, results: Iterable[SignatureResult], rules: Rules, resolver: NotingResolver
) -> None:
    try:
        report.author = authors(report.message.values(b"from"))[0].domain
    except AddressError as error:
        report.evaluation = Evaluation(Verdict.PERMERROR, reason=f"From: {error}")
        return
    spf = Finding(report.spf.verdict, report.spf.domain) if report.spf is not None else None
    dkim = [Finding(item.verdict, item.domain, item.selector) for item in results if item.domain]
    done = run(evaluate(report.author, identifiers(spf, dkim), rules.method), resolver, rules.new_budget)
    report.evaluation = evaluation = await done if isinstance(done, Awaitable) else done
    if evaluation.record is None:
        return
    record = evaluation.record
    sought = [("dkim", finding, record.strict_dkim) for finding in dict.fromkeys(dkim)]
    if spf is not None and spf.domain:
        sought.append(("spf", spf, record.strict_spf))
    related = run(_related(report.author, sought, rules.method), resolver, rules.new_budget)
    report.organization, report.alignments = await related if isinstance(related, Awaitable) else related


def _related(
    start: str, sought: Iterable[tuple[str, Finding, bool]], method: Method
) -> Steps[tuple[str, list[Alignment]]]:
    """The author's organizational domain, and how each identifier is related to it (§4.10.2)."""
    walk = yield from method.walk(start)
    home = method.organization(walk)
    alignments = []
    for name, finding, strict in sought:
        aligned: bool | None = finding.domain == start
        organization = ""
        if not aligned and not strict:
            other = yield from method.walk(finding.domain)
            organization = method.organization(other)
            aligned = organization == home
            if not aligned and (walk.failed or other.failed):
                aligned, organization = None, ""
        alignments.append(Alignment(name, finding.domain, finding.result, aligned, strict, organization))
    return home, alignments


class _Inspection:
    """Looks at the signatures beside their verification: refused ones too, whose body nobody else hashes."""

    def __init__(self, headers: Sequence[HeaderField], most: int) -> None:
        fields = [each for each in headers if each.name.lower() == b"dkim-signature"][:most]
        self._counts = Counter(_name(each.name) for each in headers)
        self._hasher = BodyHasher()
        self._signatures = [_parsed(each.value) for each in fields]
        self._digests = [
            self._hasher.digest(each.body_canonicalization, each.length) if each else None
            for each in self._signatures
        ]

    def body(self, chunk: bytes) -> None:
        """Take the next octets of the body."""
        self._hasher.update(chunk)

    def reports(self, results: Sequence[SignatureResult]) -> list[SignatureReport]:
        """Put together what was found, with the *results* of the verification."""
        self._hasher.finish()
        reports = []
        for result, signature, digest in zip(results, self._signatures, self._digests, strict=True):
            if signature is None or digest is None:
                reports.append(SignatureReport(result))
                continue
            signed = Counter(name.decode("ascii") for name in signature.signed)
            unsigned = [
                name
                for name, count in self._counts.items()
                if signed[name] < count and name not in _TRACE and not name.startswith("arc-")
            ]
            oversigned = [name for name, count in signed.items() if count > self._counts[name]]
            short = signature.length is not None and signature.length > digest.length
            matches = not short and digest.digest() == signature.body_hash
            reports.append(SignatureReport(result, signature, matches, tuple(unsigned), tuple(oversigned)))
        return reports


def _parsed(value: bytes) -> Signature | None:
    try:
        return parse_signature(value)
    except SignatureError:
        return None


def _name(name: bytes) -> str:
    return name.decode("ascii", "replace").lower()


def _foreign(message: Message, ids: Ids | None) -> list[Foreign]:
    fields = message.values(FIELD_NAME.lower())[:MAX_FOREIGN]
    return [_read(value, ids is not None and claims(value, ids)) for value in fields]


def _read(value: bytes, ours: bool) -> Foreign:
    try:
        parsed = read(value)
    except ARParseError as error:
        return Foreign("", (), str(error), ours)
    return Foreign(parsed.authserv_id, parsed.results, "", ours)
