"""dmarc: decides, by RFC 9989, whether the author's domain vouches for a message, and what becomes of it if not.

One handler for two places: ``enforce`` where mail comes in, ``stamp`` behind a
content filter. It believes the sealed results of the daemons before it, and
checks for itself what nobody has checked: a verifier that is down weakens
nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from gatepost.address import AddressError, authors
from gatepost.authres.border import FIELD_NAME, Border
from gatepost.authres.result import Property, Result
from gatepost.authres.seal import Sealer, message_subject
from gatepost.authres.spf_field import stated
from gatepost.authres.write import format_value
from gatepost.config.dmarc_settings import Dmarc
from gatepost.dkim.report import authres_results, brief
from gatepost.dkim.result import SignatureResult
from gatepost.dkim.verifier import SignatureCheck, Verifier
from gatepost.dmarc.evaluate import Evaluation, Method, Verdict, evaluate
from gatepost.dmarc.evidence import Evidence, Finding, gather, identifiers
from gatepost.dmarc.history import History, Row
from gatepost.dmarc.report import authres_result
from gatepost.dns import steps
from gatepost.dns.budget import Budget
from gatepost.hosts import HostList
from gatepost.log import Logger
from gatepost.message import Message
from gatepost.metrics import Metrics
from gatepost.networks import Networks
from gatepost.spf.check import Check
from gatepost.spf.result import Identity, SpfResult
from milters import handler
from milters.claims import kept_and_removed
from milters.dmarc_action import Action, decide
from milters.handler import (
    Disposition,
    Examination,
    InsertHeader,
    Needs,
    Step,
)
from milters.replies import HEADER_TOO_LARGE, Ignored


@dataclass(slots=True)
class Tools:
    """What the daemon works with; everything that touches the outside is passed in here.

    ``removes_seals`` says that nobody of us reads the results after this
    daemon. ``clock`` gives the time in seconds since 1970, ``sample`` a number
    from 0 to 100 for RFC 7489's pct.
    """

    authserv_id: str
    trusted: Networks
    border: Border
    sealer: Sealer
    removes_seals: bool
    verifier: Verifier
    method: Method
    history: History | None
    log: Logger
    metrics: Metrics
    sample: Callable[[], float]
    clock: Callable[[], float] = field(default=time.time)


class DmarcHandler:
    """The daemon, in either mode."""

    needs = Needs(
        steps=Step.CONNECT | Step.HELO | Step.MAIL | Step.HEADERS | Step.BODY,
        macros={"mail": ("{auth_authen}",), "eom": ("i",)},
        quarantines=True,
        skips_body=True,
    )

    def __init__(self, name: str, settings: Dmarc, tools: Tools) -> None:
        self.name = name
        self.settings = settings
        self.tools = tools
        self.forwarders = HostList(settings.trusted_forwarders)
        self.ignore_from = frozenset(entry.lower() for entry in settings.ignore_from)
        self._ignored = HostList(settings.ignore_hosts)

    def examine(self, message: Message) -> Examination:
        """Begin with a message: what is known of it, and what has to be checked here."""
        envelope = message.envelope
        if self._ignored and self._ignored.matches(envelope.client_name, envelope.client_address):
            return Ignored(message, self.tools.log, self.tools.metrics)
        return _Evaluating(self, message)


class _Evaluating:
    """One message on its way through the daemon."""

    def __init__(self, daemon: DmarcHandler, message: Message) -> None:
        self._daemon = daemon
        self._tools = tools = daemon.tools
        self._message = message
        self._now = tools.clock()
        envelope = message.envelope
        self._inside = not envelope.login and envelope.client_address in tools.trusted
        self._claims = tools.border.claims(message, self._inside, self._now, first=False)
        self._evidence = self._believed()
        self._author = self._bad_from = ""
        self._signatures: SignatureCheck | None = None
        self._spf: SpfResult | None = None
        self._spf_asked: asyncio.Task[SpfResult] | None = None
        self._skipped = self._why_not()
        if not self._skipped and not self._bad_from:
            self._check_the_rest()

    def _believed(self) -> Evidence:
        """What the fields say that we believe."""
        results = [result for claim in self._claims for result in claim.results()]
        return gather(results, null_sender=not self._message.envelope.mail_from)

    def _why_not(self) -> str:
        """Why this message is not evaluated; "" where it is. Finds the author on the way."""
        message, settings = self._message, self._daemon.settings
        if message.oversized:
            return message.oversized
        if message.envelope.login and settings.ignore_authenticated:
            return "authenticated user"
        if self._evidence.dmarc:
            return "evaluated before"
        try:
            mailboxes = authors(message.values(b"from"))
        except AddressError as error:
            self._bad_from = str(error)
            return ""
        self._author = mailboxes[0].domain
        ignored = self._daemon.ignore_from
        if self._author in ignored or all(mailbox.addr_spec.lower() in ignored for mailbox in mailboxes):
            return "author in ignore_from"
        return ""

    def _check_the_rest(self) -> None:
        """Begin with what nobody has checked: SPF where the client is to be seen, DKIM by the message itself."""
        # Each has a budget of its own: a failure would become a temporary error where a stranger's signatures
        # could use up SPF's questions, or his MAIL FROM those about keys.
        verifier, message, envelope = self._tools.verifier, self._message, self._message.envelope
        if self._evidence.dkim is None:
            self._signatures = verifier.check(message.headers, self._now, message.places)
        if self._evidence.spf is None and not self._inside:
            check = Check(
                verifier.resolver,
                verifier.new_budget(),
                envelope.client_address,
                envelope.helo,
                envelope.mail_from,
            )
            self._spf = check.now()
            if self._spf is None:
                self._spf_asked = asyncio.create_task(check.finish())

    def body(self, chunk: bytes) -> bool:
        if self._signatures is None or not self._signatures.needs_body:
            return False
        self._signatures.body(chunk)
        return True

    def cancel(self) -> None:
        if self._signatures is not None:
            self._signatures.cancel()
        if self._spf_asked is not None:
            self._spf_asked.cancel()

    def _client(self) -> tuple[str, str]:
        """Name and address of whom the message comes from: behind a filter, the address that our SPF field states."""
        if self._inside:
            for claim in self._claims:
                if claim.sealed and (spf := stated(claim.value)):
                    return "", spf.client_address
        envelope = self._message.envelope
        return envelope.client_name, envelope.client_address

    # -- the evaluation

    def finish(self) -> handler.Verdict | Awaitable[handler.Verdict]:
        if self._message.oversized:
            return self._told(Action(HEADER_TOO_LARGE, "reject"), None)
        if self._skipped:
            return self._told(Action(), None)
        if self._bad_from:
            return self._conclude(Evaluation(Verdict.PERMERROR, reason=f"From: {self._bad_from}"), [])
        signatures = self._signatures.results() if self._signatures is not None else []
        if self._spf_asked is not None or not isinstance(signatures, list):
            return self._finish_later(signatures)
        evaluation = self._evaluation(signatures, self._tools.verifier.new_budget)
        if isinstance(evaluation, Evaluation):
            return self._conclude(evaluation, signatures)
        return self._conclude_later(evaluation, signatures)

    async def _finish_later(
        self, signatures: list[SignatureResult] | Awaitable[list[SignatureResult]]
    ) -> handler.Verdict:
        # The MTA's patience counts from the end of the message. The questions are others than SPF's and DKIM's:
        # a stranger's records must not use up those about the author's policy.
        budget = self._tools.verifier.new_budget()
        if not isinstance(signatures, list):
            signatures = await signatures
        if self._spf_asked is not None:
            self._spf = await self._spf_asked
        evaluation = self._evaluation(signatures, lambda: budget)
        if not isinstance(evaluation, Evaluation):
            evaluation = await evaluation
        return self._conclude(evaluation, signatures)

    async def _conclude_later(
        self, evaluation: Awaitable[Evaluation], signatures: list[SignatureResult]
    ) -> handler.Verdict:
        return self._conclude(await evaluation, signatures)

    def _evaluation(
        self, signatures: Sequence[SignatureResult], new_budget: Callable[[], Budget]
    ) -> Evaluation | Awaitable[Evaluation]:
        tools = self._tools
        known = identifiers(self._spf_finding(), self._dkim_findings(signatures))
        question = evaluate(self._author, known, tools.method, tools.sample())
        return steps.run(question, tools.verifier.resolver, new_budget)

    def _spf_finding(self) -> Finding | None:
        if self._spf is not None:
            return Finding(self._spf.verdict, self._spf.domain)
        return self._evidence.spf

    def _dkim_findings(self, signatures: Sequence[SignatureResult]) -> Sequence[Finding]:
        if self._evidence.dkim is not None:
            return self._evidence.dkim
        return [Finding(item.verdict, item.domain, item.selector) for item in signatures if item.domain]

    # -- the verdict

    def _conclude(self, evaluation: Evaluation, signatures: list[SignatureResult]) -> handler.Verdict:
        daemon = self._daemon
        name, address = self._client()
        # Only a failure is looked up: going through a list of networks costs more than the evaluation.
        failed = evaluation.verdict is Verdict.FAIL
        forwarded = failed and bool(daemon.forwarders) and daemon.forwarders.matches(name, address)
        action = decide(evaluation, daemon.settings, self._message, forwarded)
        value = self._field(evaluation, signatures, action.disposition)
        self._tools.metrics.result("dmarc", evaluation.verdict).inc()
        # What is put off comes again, and is told of then.
        final = action.verdict.disposition is not Disposition.TEMPFAIL
        if self._tools.history is not None and evaluation.record is not None and final:
            row = Row.of(
                self._message.envelope,
                evaluation,
                self._spf_finding(),
                self._dkim_findings(signatures),
                client_address=address,
                disposition=action.disposition,
                override=action.override,
                time=self._now,
            )
            self._tools.history.add(row)
        return self._told(action, evaluation, signatures, [InsertHeader(FIELD_NAME, value)])

    def _field(self, evaluation: Evaluation, signatures: list[SignatureResult], disposition: str) -> bytes:
        """The field: what was checked here, and the evaluation."""
        results = []
        if self._spf is not None:
            name = "mailfrom" if self._spf.identity is Identity.MAIL_FROM else "helo"
            domain = (Property("smtp", name, self._spf.domain),) if self._spf.domain else ()
            results.append(Result("spf", self._spf.verdict, domain))
        if self._signatures is not None:
            results += authres_results(signatures)
        results.append(authres_result(evaluation, disposition))
        value = format_value(self._tools.authserv_id, results)
        if self._daemon.settings.seal and not self._tools.removes_seals:
            subject = message_subject(self._message.headers, self._message.places)
            value = self._tools.sealer.seal(value, subject, self._now)
        return value.encode("utf-8")

    def _told(
        self,
        action: Action,
        evaluation: Evaluation | None,
        signatures: Sequence[SignatureResult] = (),
        written: Sequence[InsertHeader] = (),
    ) -> handler.Verdict:
        """Add the fields that go and those *written*, count the verdict, write the line, and pass the verdict on."""
        tools = self._tools
        claims = kept_and_removed(self._claims, tools.removes_seals, tools.metrics)
        verdict = action.verdict.with_changes([*claims, *action.verdict.changes, *written])
        envelope = self._message.envelope
        word = verdict.disposition.value
        tools.metrics.verdict(word).inc()
        spf = self._spf_finding() if evaluation else None
        tools.log.message(
            envelope.queue_id,
            client=envelope.client_address,
            author=self._author,
            dmarc=evaluation.verdict if evaluation else "skipped",
            policy=evaluation.applied if evaluation and evaluation.record else None,
            reason=(evaluation.reason if evaluation else self._skipped) or None,
            spf=f"{spf.result}:{spf.domain}" if spf else None,
            dkim=[brief(result) for result in signatures]
            or [f"{finding.result}:{finding.domain}" for finding in self._evidence.dkim or ()]
            or None,
            disposition=action.disposition if action.disposition != "none" else None,
            override=action.override or None,
            fields_removed=sum(not claim.believed for claim in self._claims) or None,
            action=None if verdict.disposition is Disposition.ACCEPT else word,
        )
        return verdict
