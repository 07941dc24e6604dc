"""DKIM results as Authentication-Results states them (RFC 8601 §2.7.1, RFC 6008), and as a log line does."""

from __future__ import annotations

from collections.abc import Sequence

from gatepost.authres.result import Property, Result
from gatepost.dkim.result import SignatureResult, Verdict

_SHORTEST_START = 8  # RFC 6008 §4: at least eight characters of b=


def authres_results(results: Sequence[SignatureResult]) -> list[Result]:
    """One result a signature, in order; ``dkim=none`` where there is none."""
    if not results:
        return [Result("dkim", Verdict.NONE)]
    length = _telling_length([result.start for result in results])
    return [_authres_result(result, length) for result in results]


def _telling_length(starts: Sequence[str]) -> int:
    """How much of b= tells the signatures apart (RFC 6008 §4)."""
    if len(starts) == 1:
        return _SHORTEST_START
    longest = max(map(len, starts))
    length = _SHORTEST_START
    while length < longest and len({start[:length] for start in starts}) < len(set(starts)):
        length += 4
    return length


def _authres_result(result: SignatureResult, length: int) -> Result:
    properties = []
    for name, value in (
        ("d", result.domain),
        ("i", result.identity),
        ("s", result.selector),
        ("a", result.algorithm),
        ("b", result.start[:length]),
    ):
        if value:
            properties.append(Property("header", name, value))
    if result.authentic:
        properties.append(Property("dns", "sec", "yes"))
    notes = []
    if result.key_bits:
        notes.append(f"{result.key_bits}-bit key")
    if result.testing:
        notes.append("key in testing")
    return Result("dkim", result.verdict, tuple(properties), result.reason, ", ".join(notes))


def brief(result: SignatureResult) -> str:
    """One signature in a few words: ``pass:example.nl/mail`` or ``fail:example.nl/mail:body altered``."""
    text = f"{result.verdict.value}:{result.domain or '?'}/{result.selector or '?'}"
    return f"{text}:{result.reason}" if result.reason else text
