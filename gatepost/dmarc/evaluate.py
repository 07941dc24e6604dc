"""The evaluation (§5.3): who has authenticated, whether that aligns with the author, and which policy applies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from gatepost.dmarc.record import Policy, Record
from gatepost.dmarc.walk import Walk, listed_walk, walk
from gatepost.dns.answer import Outcome
from gatepost.dns.steps import Question, Steps


class Verdict(StrEnum):
    """The results of the method "dmarc" (§9.2)."""

    NONE = "none"
    """No record: DMARC does not apply."""
    PASS = "pass"  # noqa: S105
    """An aligned identifier has authenticated."""
    FAIL = "fail"
    """There is a record, and no aligned identifier has authenticated."""
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


class Identifiers(NamedTuple):
    """The Authenticated Identifiers (§3.2.1): the domains for which SPF and DKIM have passed.

    ``unsettled_…`` are domains whose check ended in a temporary error: had it
    passed, it might have aligned.
    """

    spf: str = ""
    dkim: tuple[str, ...] = ()
    unsettled_spf: str = ""
    unsettled_dkim: tuple[str, ...] = ()


class Evaluation(NamedTuple):
    """What DMARC says of a message.

    ``domain`` is the Author Domain. ``policy`` is what its owner publishes for
    it, ``applied`` what remains of that after t=y (or pct). ``policy_domain`` is
    where the record was found. ``spf`` and ``dkim`` are the aligned identifiers.
    """

    verdict: Verdict
    domain: str = ""
    reason: str = ""
    policy: Policy = Policy.NONE
    applied: Policy = Policy.NONE
    policy_domain: str = ""
    record: Record | None = None
    spf: str = ""
    dkim: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Method:
    """How domains are related, and which RFC's tags count.

    ``walk`` finds records; ``organization`` gives a walk's Organizational
    Domain. ``historic`` is RFC 7489: pct counts, t and np do not.
    """

    walk: Callable[[str], Steps[Walk]]
    organization: Callable[[Walk], str]
    historic: bool = False


TREE_WALK = Method(walk, lambda found: found.organizational_domain)
"""RFC 9989."""


def by_suffix_list(organizational_domain: Callable[[str], str]) -> Method:
    """RFC 7489, with *organizational_domain* taken from a public suffix list."""
    return Method(
        listed_walk(organizational_domain), lambda found: organizational_domain(found.start), historic=True
    )


def evaluate(
    domain: str, identifiers: Identifiers, method: Method = TREE_WALK, sample: float = 0.0
) -> Steps[Evaluation]:
    """Evaluate a message of the Author Domain *domain* (A-labels, lower case).

    *sample* is a number from 0 to 100 that decides pct under RFC 7489: below
    pct, the policy applies whole.
    """
    found = yield from method.walk(domain)
    policy = yield from _discover(found, method)
    if policy.verdict is not Verdict.FAIL:
        return policy
    record = policy.record
    assert record is not None
    aligned_spf = yield from _aligned(found, [identifiers.spf], record.strict_spf, method)
    aligned_dkim = yield from _aligned(found, identifiers.dkim, record.strict_dkim, method)
    if aligned_spf.domains or aligned_dkim.domains:
        return policy._replace(
            verdict=Verdict.PASS,
            reason="",
            spf="".join(aligned_spf.domains[:1]),
            dkim=tuple(aligned_dkim.domains),
        )
    # §5.3.6: what the DNS kept from us can neither pass nor fail.
    if aligned_spf.unclear or aligned_dkim.unclear:
        return policy._replace(verdict=Verdict.TEMPERROR, reason="DNS failure while relating domains")
    open_spf = yield from _aligned(found, [identifiers.unsettled_spf], record.strict_spf, method)
    open_dkim = yield from _aligned(found, identifiers.unsettled_dkim, record.strict_dkim, method)
    if open_spf.domains or open_spf.unclear or open_dkim.domains or open_dkim.unclear:
        return policy._replace(
            verdict=Verdict.TEMPERROR, reason="SPF or DKIM of the domain could not be checked"
        )
    return _applied(policy, record, method, sample)


# -- §4.10.1: policy discovery


def _discover(found: Walk, method: Method) -> Steps[Evaluation]:
    """The policy for the walk's start, as an evaluation that fails until something aligns."""
    domain = found.start
    none = Evaluation(Verdict.NONE, domain)
    own = found.record_of(domain)
    if own is None and found.failed:
        return none._replace(verdict=Verdict.TEMPERROR, reason=f"DNS failure for _dmarc.{found.failed[0]}")
    place = domain if own is not None else method.organization(found)
    record = own or found.record_of(place)
    if record is None and found.records:
        # The Public Suffix Domain's record, where the organization has none.
        place, record = found.records[-1].domain, found.records[-1].record
    if record is None:
        return none._replace(reason="several records" if found.ambiguous else "no record")
    if not record.usable:
        return none._replace(reason="record without a valid policy", policy_domain=place)
    policy = record.policy or Policy.NONE
    if place != domain:
        policy = record.subdomain_policy or policy
        if record.nonexistent_policy is not None and not method.historic:
            answers = yield [Question(domain, "A")]
            (answer,) = answers.values()
            if answer.temporary:
                return none._replace(verdict=Verdict.TEMPERROR, reason="DNS failure for the author domain")
            if answer.outcome is Outcome.NXDOMAIN:
                policy = record.nonexistent_policy
    return Evaluation(
        Verdict.FAIL, domain, "no aligned identifier", policy, policy, policy_domain=place, record=record
    )


def _applied(policy: Evaluation, record: Record, method: Method, sample: float) -> Evaluation:
    """The failing evaluation with the policy that t=y, or pct, leaves of it (§4.7, t; RFC 7489 §6.6.4)."""
    milder = sample >= record.percent if method.historic else record.testing
    if milder and policy.policy is not Policy.NONE:
        reduced = Policy.QUARANTINE if policy.policy is Policy.REJECT else Policy.NONE
        return policy._replace(applied=reduced)
    return policy


# -- §4.10.2: identifier alignment


class _Alignment(NamedTuple):
    """Which domains align, and whether the DNS left it open for one."""

    domains: Sequence[str] = ()
    unclear: bool = False


def _aligned(author: Walk, domains: Iterable[str], strict: bool, method: Method) -> Steps[_Alignment]:
    domain = author.start
    aligned, unclear = [], False
    for other in dict.fromkeys(domains):
        if not other:
            continue
        if other == domain:
            aligned.append(other)
            continue
        if strict:
            continue
        organization = method.organization(author)
        # Only what lies within the author's organization can have the same one.
        if other != organization and not other.endswith("." + organization):
            unclear |= bool(author.failed) and _related(other, domain)
            continue
        found = yield from method.walk(other)
        if method.organization(found) == organization:
            aligned.append(other)
        elif found.failed:
            unclear = True
    return _Alignment(aligned, unclear)


def _related(one: str, other: str) -> bool:
    """Whether two domains could have an organization in common: they share more than the last label."""
    return one.split(".")[-2:] == other.split(".")[-2:]
