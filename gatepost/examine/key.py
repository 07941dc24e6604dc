"""A private key against its record in the DNS (RFC 6376 §3.6)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from gatepost.dkim import taglist
from gatepost.dkim.keys.source import NamedKey
from gatepost.dkim.publish import key_type, public_text, record_name, record_text
from gatepost.dkim.record import MAX_RECORD, KeyProblem, KeyRecord, PublicKey, parse_record
from gatepost.dns.answer import Answer, Outcome
from gatepost.dns.budget import Budget
from gatepost.dns.noting import NotingResolver
from gatepost.dns.steps import Question
from gatepost.examine.item import Status

MIN_BITS = 1024
"""Verifiers have to refuse shorter RSA keys (RFC 8301 §3.2)."""
GOOD_BITS = 2048
"""What signers should have (RFC 8301 §3.2)."""


@dataclass(frozen=True, slots=True)
class KeyReport:
    """What was found.

    ``same`` tells whether the record holds the public half of the key, None
    where one of the two cannot be had. ``wanted`` is the record to publish, ""
    without a key. ``description`` is kind and size of the published key, ""
    without one; ``ttl`` is in seconds, None where it is not known. ``problems``
    keep signatures from being verified, ``warnings`` do not; one line each.
    """

    key: NamedKey
    name: str
    answer: Answer
    status: Status
    same: bool | None
    wanted: str
    description: str = ""
    ttl: float | None = None
    testing: bool = False
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


async def examine_key(key: NamedKey, resolver: NotingResolver, budget: Budget) -> KeyReport:
    """Look for the record of *key*, whose ``domain`` is given, and compare. Raises nothing of its own."""
    name = record_name(key.domain, key.selector)
    answer = await resolver.lookup(name, "TXT", budget)
    misplaced = ""
    if not answer.records and not answer.temporary:
        doubled = f"{name}.{key.domain}"
        found = await resolver.lookup(doubled, "TXT", budget)
        misplaced = doubled if found.records else ""
    return judge(key, answer, misplaced=misplaced, ttl=resolver.ttls.get(Question(name.lower(), "TXT")))


def judge(key: NamedKey, answer: Answer, *, misplaced: str = "", ttl: float | None = None) -> KeyReport:
    """Compare *key* with the *answer* for its record; *misplaced* is another name that has it instead."""
    public = key.private.public_key() if key.private is not None else None
    texts = [record for record in answer.records if isinstance(record, bytes)]
    records = [parse_record(text) for text in texts]
    problems: list[str] = []
    warnings: list[str] = []
    if key.problem:
        problems.append(key.problem)
    status, same = Status.OK, None
    if answer.temporary:
        status = Status.UNKNOWN
        problems.append(f"the DNS did not tell: {answer.detail or answer.outcome}")
    elif not texts:
        status = Status.MISSING
        problems.append(_why_missing(answer, misplaced))
    else:
        if len(texts) > 1:
            problems.append(
                f"{len(texts)} records: a verifier may take any of them; leave one (RFC 6376 §3.6.2.2)"
            )
        for text, record in zip(texts, records, strict=True):
            problems += _flaws(text, record)
            warnings += _doubts(record)
        if public is not None:
            same = any(isinstance(record, KeyRecord) and record.key == public for record in records)
            if not same and not any(isinstance(each, KeyProblem) and each.revoked for each in records):
                problems += _difference(public, texts[0], records[0])
        if problems:
            status = Status.DIFFERS
    first = next((record for record in records if isinstance(record, KeyRecord)), None)
    return KeyReport(
        key=key,
        name=record_name(key.domain, key.selector),
        answer=answer,
        status=status,
        same=same,
        wanted=record_text(public) if public is not None else "",
        description=describe(first.key) if first else "",
        ttl=ttl,
        testing=any(record.testing for record in records),
        problems=tuple(dict.fromkeys(problems)),
        warnings=tuple(dict.fromkeys(warnings)),
    )


def describe(key: PublicKey) -> str:
    """Kind and size of a key, in words."""
    return "Ed25519" if isinstance(key, Ed25519PublicKey) else f"RSA, {key.key_size} bits"


def without_rsa(keys: Iterable[NamedKey]) -> list[str]:
    """The domains whose keys are all Ed25519: large receivers take their mail for unsigned."""
    has_rsa: dict[str, bool] = {}
    for key in keys:
        if key.private is not None:
            is_rsa = not isinstance(key.private, Ed25519PrivateKey)
            has_rsa[key.domain] = has_rsa.get(key.domain, False) or is_rsa
    return [domain for domain, there in has_rsa.items() if not there]


def _why_missing(answer: Answer, misplaced: str) -> str:
    if misplaced:
        return f"there is no record; it stands at {misplaced}: in the zone file its name lacks the final dot"
    if answer.outcome is Outcome.NODATA:
        return "there is no record: the name exists, and has no TXT"
    return "there is no record"


def _flaws(text: bytes, record: KeyRecord | KeyProblem) -> list[str]:
    if isinstance(record, KeyProblem):
        if record.revoked:
            return ["the key is revoked: p= is empty (RFC 6376 §3.6.1)"]
        reason = record.reason.removeprefix("key record: ")
        if b'"' in text or b"\\" in text:
            reason += "; it has quotation marks or backslashes in it, which belong into zone files alone"
        return [f"the record cannot be used: {reason}"]
    if record.bits < MIN_BITS and not isinstance(record.key, Ed25519PublicKey):
        return [f"RSA of {record.bits} bits: verifiers refuse less than {MIN_BITS} (RFC 8301 §3.2)"]
    return []


def _doubts(record: KeyRecord | KeyProblem) -> list[str]:
    doubts = []
    if record.testing:
        doubts.append("t=y says that the key is in testing: nobody relies on its signatures")
    is_rsa = isinstance(record, KeyRecord) and not isinstance(record.key, Ed25519PublicKey)
    if isinstance(record, KeyRecord) and is_rsa and MIN_BITS <= record.bits < GOOD_BITS:
        doubts.append(f"RSA of {record.bits} bits is short: make a key of {GOOD_BITS} (RFC 8301 §3.2)")
    return doubts


def _difference(public: PublicKey, text: bytes, record: KeyRecord | KeyProblem) -> list[str]:
    """How the one record differs from that of *public*, in plain words."""
    try:
        tags = taglist.parse(text, MAX_RECORD)
    except taglist.TagListError:
        return []  # _flaws has told of it
    published = taglist.squeezed(tags.get(b"p", b"")).decode("latin-1")
    whole = public_text(public)
    kind = tags.get(b"k", b"rsa").decode("latin-1").lower()
    if published == whole:
        if kind != key_type(public):
            return [f"p= is that of the key, but k= is missing or wrong: it has to be {key_type(public)}"]
        return ["p= is that of the key, but the other tags keep verifiers from using it"]
    if published and whole.startswith(published):
        return [f"p= is cut off: {len(published)} of its {len(whole)} characters are published"]
    if isinstance(record, KeyProblem):
        return ["its p= is not that of the key"]
    if describe(record.key) != describe(public):
        return [f"the record is of another key: {describe(record.key)}; the file holds {describe(public)}"]
    return ["the record is of another key than the file: same kind, other p="]
