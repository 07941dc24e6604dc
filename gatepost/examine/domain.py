"""What DMARC makes of a domain, step by step (RFC 9989 §4.10): the names asked, the policy found, what aligns."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from gatepost.dmarc.evaluate import Evaluation, Identifiers, Method, Verdict, evaluate
from gatepost.dmarc.record import Record
from gatepost.dmarc.tags import Text, explain
from gatepost.dmarc.walk import Walk, question, targets, the_record
from gatepost.dns.answer import Answer, Outcome
from gatepost.dns.budget import Budget
from gatepost.dns.noting import NotingResolver
from gatepost.dns.steps import Question, Steps, run
from gatepost.domains import InvalidNameError, to_ascii

T = TypeVar("T")


class Stop(StrEnum):
    """Why no further name is asked."""

    NOT_PSD = "psd=n"
    PSD = "psd=y"
    TOP = "top"
    """There is no name left."""
    LIST = "list"
    """The public suffix list names the organizational domain: RFC 7489 asks for no other."""


@dataclass(frozen=True, slots=True)
class Step:
    """One name of the walk. ``record`` is its one DMARC record; ``several`` where there are more than one."""

    domain: str
    answer: Answer
    texts: tuple[Text, ...] = ()
    record: Record | None = None
    several: bool = False

    @property
    def asked(self) -> str:
        """The name whose TXT records were asked for."""
        return question(self.domain).name


@dataclass(frozen=True, slots=True)
class Applied:
    """The policy for mail from one domain.

    ``evaluation`` is that of a message where nothing aligns: fail where a
    policy applies, otherwise none or temperror. ``tag`` is where the policy
    comes from: p, sp or np.
    """

    evaluation: Evaluation
    tag: str = ""

    @property
    def applies(self) -> bool:
        """Whether there is a policy."""
        return self.evaluation.verdict is Verdict.FAIL


@dataclass(frozen=True, slots=True)
class DomainReport:
    """What was found.

    ``domain`` has A-labels. ``skipped`` counts the names that a walk from it
    leaves out. ``exists`` is None where the DNS did not tell. ``own`` is for
    mail from the domain, ``subdomain`` and ``nonexistent`` for mail from a
    subdomain without a record of its own, which exists or does not.
    ``warnings`` are mistakes, one sentence each.
    """

    domain: str
    historic: bool
    steps: tuple[Step, ...]
    stop: Stop
    skipped: int
    exists: bool | None
    walk: Walk
    organization: str
    own: Applied
    subdomain: Applied
    nonexistent: Applied
    warnings: tuple[str, ...]


_NO_NAME = Answer(Outcome.NXDOMAIN)
_NO_RECORD = Answer(Outcome.NODATA)


async def look_into(
    domain: str, method: Method, resolver: NotingResolver, new_budget: Callable[[], Budget]
) -> DomainReport:
    """Walk from *domain* (A-labels, lower case), and see what applies to it. Raises nothing of its own."""

    async def done(steps: Steps[T]) -> T:
        result = run(steps, resolver, new_budget)
        return await result if isinstance(result, Awaitable) else result

    async def applied(start: str, exists: bool, supposed: Mapping[Question, Answer]) -> Applied:
        evaluation = await done(_supposing(evaluate(start, Identifiers(), method), supposed))
        return _applied(evaluation, exists, method.historic)

    walk = await done(method.walk(domain))
    existence = await done(_answer(Question(domain, "A")))
    exists = None if existence.temporary else existence.outcome is not Outcome.NXDOMAIN
    own = await applied(domain, exists is not False, {})
    below = f"subdomain.{domain}"
    subdomain, nonexistent = [
        await applied(below, there, {question(below): _NO_NAME, Question(below, "A"): answer})
        for there, answer in ((True, _NO_RECORD), (False, _NO_NAME))
    ]
    organization = method.organization(walk)
    steps, stop = _steps(domain, method, resolver.answers)
    warnings = [*_mistakes(steps, organization, method.historic)]
    if exists is False and domain.count("."):
        warnings.append(f"{domain} does not exist in the DNS")
    warnings += await done(_unwanted_reports(own.evaluation, organization))
    return DomainReport(
        domain=domain,
        historic=method.historic,
        steps=steps,
        stop=stop,
        skipped=0 if method.historic else domain.count(".") + 1 - len(targets(domain)),
        exists=exists,
        walk=walk,
        organization=organization,
        own=own,
        subdomain=subdomain,
        nonexistent=nonexistent,
        warnings=tuple(warnings),
    )


def _answer(asked: Question) -> Steps[Answer]:
    answers = yield [asked]
    return answers[asked]


def _supposing(steps: Steps[T], supposed: Mapping[Question, Answer]) -> Steps[T]:
    """*steps*, with some answers given beforehand."""
    try:
        questions = next(steps)
        while True:
            answers = yield [each for each in questions if each not in supposed]
            questions = steps.send({each: supposed.get(each) or answers[each] for each in questions})
    except StopIteration as end:
        result: T = end.value
        return result


def _applied(evaluation: Evaluation, exists: bool, historic: bool) -> Applied:
    record = evaluation.record
    if record is None or evaluation.verdict is not Verdict.FAIL:
        return Applied(evaluation)
    if evaluation.policy_domain == evaluation.domain:
        return Applied(evaluation, "p")
    if record.nonexistent_policy is not None and not exists and not historic:
        return Applied(evaluation, "np")
    return Applied(evaluation, "sp" if record.subdomain_policy is not None else "p")


# -- the walk as it was done


def _steps(domain: str, method: Method, answers: Mapping[Question, Answer]) -> tuple[tuple[Step, ...], Stop]:
    """The names whose answers count, and why there are no more of them."""
    steps = []
    if method.historic:
        organization = method.organization(Walk(domain, ()))
        for name in dict.fromkeys((domain, organization)):
            step = _step(name, answers[question(name)], historic=True)
            steps.append(step)
            if step.record is not None or step.several:
                break
        return tuple(steps), Stop.LIST
    for name in targets(domain):
        step = _step(name, answers[question(name)], historic=False)
        steps.append(step)
        if step.record is not None and step.record.psd != "u":
            return tuple(steps), Stop.PSD if step.record.psd == "y" else Stop.NOT_PSD
    return tuple(steps), Stop.TOP


def _step(domain: str, answer: Answer, *, historic: bool) -> Step:
    several, record = the_record(answer)
    texts = tuple(explain(text, historic=historic) for text in answer.records if isinstance(text, bytes))
    return Step(domain, answer, texts, record, several)


# -- mistakes


def _mistakes(steps: Sequence[Step], organization: str, historic: bool) -> Iterable[str]:
    for step in steps:
        if step.several:
            yield f"{step.asked} has several DMARC records, which count as none"
        for text in step.texts:
            if text.problem:
                yield f"{step.asked}: {text.problem}"
            for flaw in text.flaws if not step.several else ():
                yield f"{step.asked}: {flaw}"
        record = step.record
        if record is None or historic:
            continue
        unheard = [
            f"{tag}="
            for tag, policy in (("sp", record.subdomain_policy), ("np", record.nonexistent_policy))
            if policy is not None
        ]
        if unheard and step.domain != organization and record.psd != "y":
            yield (
                f"{step.asked}: {' and '.join(unheard)} without effect: {step.domain} is not the "
                f"organizational domain, which is {organization}"
            )
        if record.psd == "y" and step is steps[0]:
            yield f"{step.asked}: psd=y is for registries; is {step.domain} one?"


def _unwanted_reports(own: Evaluation, organization: str) -> Steps[list[str]]:
    """Addresses for reports in other domains that have not agreed to that (RFC 9990 §4)."""
    if own.record is None or not own.policy_domain:
        return []
    # A public suffix stands above the organization.
    home = organization if _within(own.policy_domain, organization) else own.policy_domain
    hosts = [_host(uri) for uri in (*own.record.aggregate_uris, *own.record.failure_uris)]
    strangers = [host for host in dict.fromkeys(hosts) if host and not _within(host, home)]
    asked = {host: Question(f"{own.policy_domain}._report._dmarc.{host}", "TXT") for host in strangers[:10]}
    answers = yield list(asked.values())
    return [
        f"reports go to {host}, which does not say that it takes them: no DMARC record at {name.name}"
        for host, name in asked.items()
        if not answers[name].temporary and not _agrees(answers[name])
    ]


def _within(domain: str, suffix: str) -> bool:
    return domain == suffix or domain.endswith(f".{suffix}")


def _host(uri: str) -> str:
    """The domain of a mailto: URI; "" for none."""
    scheme, _, address = uri.partition(":")
    try:
        return to_ascii(address.partition("?")[0].rpartition("@")[2]) if scheme.lower() == "mailto" else ""
    except InvalidNameError:
        return ""


def _agrees(answer: Answer) -> bool:
    return any(isinstance(text, bytes) and text.lower().startswith(b"v=dmarc1") for text in answer.records)
