"""What was found of one message: the values that ``gatepost verify`` shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from gatepost.authres.result import Result
from gatepost.dkim.result import SignatureResult
from gatepost.dkim.result import Verdict as DkimVerdict
from gatepost.dkim.signature import Signature
from gatepost.dmarc.evaluate import Evaluation, Verdict
from gatepost.dns.answer import Answer
from gatepost.dns.steps import Question
from gatepost.message import Message
from gatepost.spf.result import SpfResult
from gatepost.spf.result import Verdict as SpfVerdict

_BAD_SPF = (SpfVerdict.FAIL, SpfVerdict.TEMPERROR, SpfVerdict.PERMERROR)
_BAD_DMARC = (Verdict.FAIL, Verdict.TEMPERROR, Verdict.PERMERROR)


@dataclass(frozen=True, slots=True)
class SignatureReport:
    """One signature: its result, and what it says of itself.

    ``signature`` is None where it is too broken to be read. ``body_matches``
    tells whether the body is the signed one, None where that is not known.
    ``unsigned`` are fields of the message that the signature does not cover,
    or not all of; ``oversigned`` are those that nobody can add without breaking
    it. Names are in lower case. Fields written on the way are left out.
    """

    result: SignatureResult
    signature: Signature | None = None
    body_matches: bool | None = None
    unsigned: tuple[str, ...] = ()
    oversigned: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Alignment:
    """One identifier, and how it is related to the author (RFC 9989 §4.4).

    ``method`` is dkim or spf, ``result`` its result for ``domain``. ``aligned``
    is None where the DNS did not tell. ``organization`` is the domain's
    organizational domain, "" where it did not matter.
    """

    method: str
    domain: str
    result: str
    aligned: bool | None
    strict: bool
    organization: str = ""


@dataclass(frozen=True, slots=True)
class Foreign:
    """An Authentication-Results field of the message, which proves nothing.

    ``problem`` is why it cannot be read, "" if it can. ``ours`` says that it
    claims our name: at our border it would be removed.
    """

    authserv_id: str
    results: tuple[Result, ...]
    problem: str = ""
    ours: bool = False


@dataclass(slots=True)
class Report:
    """What was found.

    ``now`` is the time, in seconds since 1970, for which it holds.
    ``signatures`` are in the order of the fields, ``beyond`` is how many more
    there are than are judged. ``spf`` is None where no client was given.
    ``author`` is the author's domain, "" where there is none. ``evaluation``
    and ``organization`` are None and "" for a message beyond the limits, of
    which nothing is evaluated. ``asked`` are the DNS questions and answers.
    """

    message: Message
    now: float
    signatures: Sequence[SignatureReport] = ()
    beyond: int = 0
    body_size: int = 0
    spf: SpfResult | None = None
    author: str = ""
    evaluation: Evaluation | None = None
    organization: str = ""
    alignments: Sequence[Alignment] = ()
    foreign: Sequence[Foreign] = ()
    header_problem: str = ""
    """The rule of RFC 5322 §3.6 that the header breaks, "" for none."""
    asked: dict[Question, Answer] = field(default_factory=dict)

    @property
    def failures(self) -> list[str]:
        """What fails, by method: an empty list where all is well.

        Signatures that do not pass, save under a key in testing (RFC 6376
        §3.6.1); SPF that fails or cannot be told, DMARC likewise.
        """
        if self.evaluation is None:
            return ["message"]
        results = [each.result for each in self.signatures]
        found = []
        if any(result.verdict is not DkimVerdict.PASS and not result.testing for result in results):
            found.append("dkim")
        if self.spf is not None and self.spf.verdict in _BAD_SPF:
            found.append("spf")
        if self.evaluation.verdict in _BAD_DMARC:
            found.append("dmarc")
        return found
