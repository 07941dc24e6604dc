"""What the believed Authentication-Results of a message say, in the terms of DMARC (§5.3.3)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from gatepost.authres.result import Result
from gatepost.dmarc.evaluate import Identifiers
from gatepost.domains import InvalidNameError, to_ascii


class Finding(NamedTuple):
    """One check of SPF or DKIM: its result in RFC 8601's words, and the domain (A-labels) it speaks of.

    ``selector`` is the signature's s=, "" for SPF.
    """

    result: str
    domain: str
    selector: str = ""


class Evidence(NamedTuple):
    """What has been found already.

    ``spf`` and ``dkim`` are None where nobody has checked. ``spf`` is of the
    identity that counts: MAIL FROM, or HELO for the null reverse-path
    (RFC 7489 §3.1.2, RFC 9989 §4.4.2). ``dmarc`` is the result of an earlier
    evaluation, "" for none.
    """

    spf: Finding | None = None
    dkim: Sequence[Finding] | None = None
    dmarc: str = ""


def gather(results: Iterable[Result], null_sender: bool) -> Evidence:
    """The evidence in *results*, topmost first. *null_sender*: the reverse-path is empty.

    Of several SPF results for one identity the first counts.
    """
    spf: Finding | None = None
    dkim: list[Finding] | None = None
    dmarc = ""
    for result in results:
        values = _values(result)
        if result.method == "spf":
            spf = spf or _spf(result.result, values, null_sender)
        elif result.method == "dkim":
            dkim = dkim or []
            domain = _domain(values.get(("header", "d"), "") or values.get(("header", "i"), ""))
            if domain:
                dkim.append(Finding(result.result, domain, values.get(("header", "s"), "")))
        elif result.method == "dmarc":
            dmarc = dmarc or result.result
    return Evidence(spf, dkim, dmarc)


def identifiers(spf: Finding | None, dkim: Iterable[Finding]) -> Identifiers:
    """The identifiers that have authenticated, and those that might have."""
    passed, unsettled = [], []
    for finding in dkim:
        if finding.result == "pass":
            passed.append(finding.domain)
        elif finding.result == "temperror":
            unsettled.append(finding.domain)
    return Identifiers(
        spf=spf.domain if spf is not None and spf.result == "pass" else "",
        dkim=tuple(passed),
        unsettled_spf=spf.domain if spf is not None and spf.result == "temperror" else "",
        unsettled_dkim=tuple(unsettled),
    )


def _values(result: Result) -> dict[tuple[str, str], str]:
    """The values of the properties. None of them where one has two: nobody knows whom the result is about."""
    values: dict[tuple[str, str], str] = {}
    for item in result.properties:
        if values.setdefault((item.ptype.lower(), item.name.lower()), item.value) != item.value:
            return {}
    return values


def _spf(result: str, values: dict[tuple[str, str], str], null_sender: bool) -> Finding | None:
    mail_from = values.get(("smtp", "mailfrom"), "")
    helo = values.get(("smtp", "helo"), "")
    if mail_from.strip("<>"):
        return Finding(result, _domain(mail_from))
    return Finding(result, _domain(helo)) if null_sender else None


def _domain(value: str) -> str:
    """The domain of an address, or of a bare domain; "" for what is none."""
    try:
        return to_ascii(value.strip("<>").rpartition("@")[2])
    except InvalidNameError:
        return ""
