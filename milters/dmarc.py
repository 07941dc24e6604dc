"""dmarc: decides, by RFC 9989, whether the author's domain vouches for a message, and what becomes of it if not.

One handler for two places: ``enforce`` where mail comes in, ``stamp`` behind a
content filter. It believes the sealed results of the daemons before it, and
checks for itself what nobody has checked: a verifier that is down weakens
nothing.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from gatepost.address import AddressError, authors
from gatepost.authres.border import FIELD_NAME, Border
from gatepost.authres.seal import Sealer, message_subject
from gatepost.authres.spf_field import stated
from gatepost.authres.write import format_value
from gatepost.config.dmarc_settings import Dmarc
from gatepost.dkim.verifier import Verifier
from gatepost.dmarc.evaluate import Evaluation, Method, Verdict, evaluate
from gatepost.dmarc.evidence import gather, identifiers
from gatepost.dmarc.history import History, Row
from gatepost.dmarc.report import authres_result
from gatepost.dns import steps
from gatepost.dns.budget import Budget
from gatepost.hosts import HostList
from gatepost.log import Logger
from gatepost.message import Message
from gatepost.metrics import Metrics
from gatepost.networks import Networks
from milters import handler
from milters.claims import kept_and_removed
from milters.dmarc_action import Action, decide
from milters.dmarc_checks import Checks
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
        results = [result for claim in self._claims for result in claim.results()]
        evidence = gather(results, null_sender=not envelope.mail_from)
        self._author = self._bad_from = ""
        self._skipped = self._why_not(evaluated=bool(evidence.dmarc))
        self._checks = Checks(evidence, tools.verifier)
        if not self._skipped and not self._bad_from:
            self._checks.begin(message, self._now, sees_client=not self._inside)

    def _why_not(self, *, evaluated: bool) -> str:
        """Why this message is not evaluated; "" where it is. Finds the author on the way."""
        message, settings = self._message, self._daemon.settings
        if message.oversized:
            return message.oversized
        if message.envelope.login and settings.ignore_authenticated:
            return "authenticated user"
        if evaluated:
            return "evaluated before"
        try:
            mailboxes = authors(message.values(b"from"))
        except AddressError as error:
            self._bad_from = str(error)
            return ""
        self._author = mailboxes[0].domain
        ignored = self._daemon.ignore_from
        if ignored and (
            self._author in ignored or all(mailbox.addr_spec.lower() in ignored for mailbox in mailboxes)
        ):
            return "author in ignore_from"
        return ""

    def body(self, chunk: bytes) -> bool:
        return self._checks.body(chunk)

    def cancel(self) -> None:
        self._checks.cancel()

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
            return self._conclude(Evaluation(Verdict.PERMERROR, reason=f"From: {self._bad_from}"))
        checked = self._checks.finish()
        if checked is not None:
            return self._finish_later(checked)
        evaluation = self._evaluation(self._tools.verifier.new_budget)
        if isinstance(evaluation, Evaluation):
            return self._conclude(evaluation)
        return self._conclude_later(evaluation)

    async def _finish_later(self, checked: Awaitable[None]) -> handler.Verdict:
        # The MTA's patience counts from the end of the message. The questions are others than SPF's and DKIM's:
        # a stranger's records must not use up those about the author's policy.
        budget = self._tools.verifier.new_budget()
        await checked
        evaluation = self._evaluation(lambda: budget)
        if not isinstance(evaluation, Evaluation):
            evaluation = await evaluation
        return self._conclude(evaluation)

    async def _conclude_later(self, evaluation: Awaitable[Evaluation]) -> handler.Verdict:
        return self._conclude(await evaluation)

    def _evaluation(self, new_budget: Callable[[], Budget]) -> Evaluation | Awaitable[Evaluation]:
        tools = self._tools
        known = identifiers(self._checks.spf, self._checks.dkim)
        question = evaluate(self._author, known, tools.method, tools.sample())
        return steps.run(question, tools.verifier.resolver, new_budget)

    # -- the verdict

    def _conclude(self, evaluation: Evaluation) -> handler.Verdict:
        daemon = self._daemon
        name, address = self._client()
        # Only a failure is looked up: going through a list of networks costs more than the evaluation.
        failed = evaluation.verdict is Verdict.FAIL
        forwarded = failed and bool(daemon.forwarders) and daemon.forwarders.matches(name, address)
        action = decide(evaluation, daemon.settings, self._message, forwarded)
        value = self._field(evaluation, action.disposition)
        self._tools.metrics.result("dmarc", evaluation.verdict).inc()
        # What is put off comes again, and is told of then.
        final = action.verdict.disposition is not Disposition.TEMPFAIL
        if self._tools.history is not None and evaluation.record is not None and final:
            row = Row.of(
                self._message.envelope,
                evaluation,
                self._checks.spf,
                self._checks.dkim,
                client_address=address,
                disposition=action.disposition,
                override=action.override,
                time=self._now,
            )
            self._tools.history.add(row)
        return self._told(action, evaluation, [InsertHeader(FIELD_NAME, value)])

    def _field(self, evaluation: Evaluation, disposition: str) -> bytes:
        """The field: what was checked here, and the evaluation."""
        results = [*self._checks.results(), authres_result(evaluation, disposition)]
        value = format_value(self._tools.authserv_id, results)
        if self._daemon.settings.seal and not self._tools.removes_seals:
            subject = message_subject(self._message.headers, self._message.places)
            value = self._tools.sealer.seal(value, subject, self._now)
        return value.encode("utf-8")

    def _told(
        self,
        action: Action,
        evaluation: Evaluation | None,
        written: Sequence[InsertHeader] = (),
    ) -> handler.Verdict:
        """Add the fields that go and those *written*, count the verdict, write the line, and pass the verdict on."""
        tools = self._tools
        claims = kept_and_removed(self._claims, tools.removes_seals, tools.metrics)
        verdict = action.verdict.with_changes([*claims, *action.verdict.changes, *written])
        envelope = self._message.envelope
        word = verdict.disposition.value
        tools.metrics.verdict(word).inc()
        spf = self._checks.spf if evaluation else None
        tools.log.message(
            envelope.queue_id,
            client=envelope.client_address,
            author=self._author,
            dmarc=evaluation.verdict if evaluation else "skipped",
            policy=evaluation.applied if evaluation and evaluation.record else None,
            reason=(evaluation.reason if evaluation else self._skipped) or None,
            spf=f"{spf.result}:{spf.domain}" if spf else None,
            dkim=self._checks.brief_dkim() or None,
            disposition=action.disposition if action.disposition != "none" else None,
            override=action.override or None,
            fields_removed=sum(not claim.believed for claim in self._claims) or None,
            action=None if verdict.disposition is Disposition.ACCEPT else word,
        )
        return verdict
