"""One evaluation of SPF by pyspf, with answers that are at hand.

pyspf asks for a DNS answer in the middle of its work. Here it finds those that
have been given; at the first one that has not, the evaluation ends and says
which it was. Whoever runs it finds out, and begins again: an evaluation takes
microseconds, and neither threads nor a second implementation are needed.
"""

from __future__ import annotations

from dataclasses import dataclass

import spf

from gatepost.spf.outcomes import Outcomes
from gatepost.spf.query import Explanation, Query
from gatepost.spf.questions import Answers, MissingError, Question
from gatepost.spf.result import SpfResult, Verdict, safe
from gatepost.spf.subject import Subject
from gatepost.spf.trace import Trace

_ERRORS = ("SPF Permanent Error: ", "SPF Temporary Error: ")


@dataclass(frozen=True, slots=True)
class Missing:
    """The evaluation needs the answer to ``needed``.

    ``foreseen`` are questions that it is likely to have next. ``terms`` is how
    many terms it has read so far.
    """

    needed: Question
    foreseen: tuple[Question, ...]
    terms: int


def evaluate(
    subject: Subject, answers: Answers, trace: Trace | None = None, outcomes: Outcomes | None = None
) -> SpfResult | Missing:
    """Evaluate check_host() (RFC 7208 §4) as far as *answers* go. Raises nothing.

    A *trace* notes each step. *outcomes* are those of earlier evaluations: where
    one is still good, it is the result.
    """
    if outcomes is not None and (known := outcomes.find(subject, answers)) is not None:
        return known
    query = Query(subject, answers, trace)
    sender = subject.sender
    verdict, problem, explanation, fault = Verdict.TEMPERROR, "", "", ""
    try:
        word, _, text = query.check()
        verdict = Verdict(word)
        if verdict in (Verdict.PERMERROR, Verdict.TEMPERROR):
            problem = safe(text.removeprefix(_ERRORS[0]).removeprefix(_ERRORS[1]))
        elif isinstance(text, Explanation):
            explanation = query.explained(text) if verdict is Verdict.FAIL else ""
    except MissingError as missing:
        foreseen = tuple(
            each for each in query.questions.foreseen if each != missing.question and answers(*each) is None
        )
        return Missing(missing.question, foreseen, query.terms)
    except Exception as error:
        # Nothing is known that leads here. A fault of ours must not refuse mail, and not crash the daemon.
        problem = "the check itself failed"
        fault = safe(f"{type(error).__name__}: {error}")
    result = SpfResult(
        verdict=verdict,
        identity=sender.identity,
        domain=sender.domain,
        mechanism=safe(query.mechanism or ""),
        record=query.record,
        explanation=explanation,
        problem=problem,
        lookups=min(query.lookups, spf.MAX_LOOKUP + 1),
        void_lookups=len(query.questions.voids),
        fault=fault,
    )
    if outcomes is not None and not query.personal:
        outcomes.keep(subject, query.questions.used, result)
    return result
