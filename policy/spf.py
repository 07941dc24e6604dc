"""spf: checks HELO and MAIL FROM by SPF, refuses what the operator does not want, and writes down the rest.

A message is checked once, at its first recipient; each recipient then has its
own rules. One field is PREPENDed a message, sealed, so that our milters
believe it: at the border for this client, HELO and MAIL FROM, and behind a
content filter by what it states itself.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from gatepost.authres.seal import Sealer
from gatepost.config.spf_settings import Spf
from gatepost.dns.budget import Budget
from gatepost.dns.resolver import Resolver
from gatepost.hosts import HostList
from gatepost.log import Logger
from gatepost.metrics import Metrics
from gatepost.networks import Networks
from gatepost.spf.check import Check, client_of
from gatepost.spf.outcomes import Outcomes
from gatepost.spf.result import SpfResult
from policy.handler import DUNNO, Request
from policy.instances import Instances, Key
from policy.spf_allow import AllowList
from policy.spf_fields import Fields, octets
from policy.spf_rules import Refusal, Results, RuleBook

MESSAGES_REMEMBERED = 10_000
"""Messages whose results are kept for their next recipients, per worker."""

SECONDS_REMEMBERED = 900.0
"""Seconds that they are kept. Postfix waits 300 s for a client's next command."""

_LONGEST_RECORD = 512
"""Characters kept of a record: the rules only ask whether it is ``v=spf1 -all``."""

_CHECKED_AT = frozenset({"RCPT", "DATA", "END-OF-MESSAGE"})
# access(5): PREPEND cannot be used once the message has been received.
_TOO_LATE_TO_WRITE = "END-OF-MESSAGE"


@dataclass(slots=True)
class Tools:
    """What the service works with; everything that touches the outside is passed in here.

    ``new_budget`` starts the DNS allowance of one check. ``clock`` gives the
    time in seconds since 1970. ``dmarc_enforces`` says that a DMARC daemon in
    mode enforce looks at the same mail.
    """

    authserv_id: str
    trusted: Networks
    sealer: Sealer
    resolver: Resolver
    new_budget: Callable[[], Budget]
    log: Logger
    metrics: Metrics
    dmarc_enforces: bool = False
    clock: Callable[[], float] = field(default=time.time)


@dataclass(slots=True)
class _Message:
    """A message that was checked. ``skipped`` says why it was not."""

    results: Results | None
    skipped: str = ""
    fields: deque[str] = field(default_factory=deque)
    allowed: str | None = None
    decided: bool = False
    logged: str = ""


class SpfHandler:
    """The service."""

    def __init__(self, name: str, settings: Spf, tools: Tools) -> None:
        self.name = name
        self._settings = settings
        self._tools = tools
        self._rule_book = RuleBook(settings, tools.dmarc_enforces)
        self._skip = Networks(settings.skip_addresses)
        self._ignored = HostList(settings.ignore_hosts)
        self._allow = AllowList(settings.allow, tools.resolver, tools.new_budget)
        self._receiver = "unknown" if settings.hide_receiver else tools.authserv_id
        self._outcomes = Outcomes()
        self._fields = Fields(settings, tools.authserv_id, tools.sealer, tools.clock)
        self._messages: Instances[_Message] = Instances(MESSAGES_REMEMBERED, SECONDS_REMEMBERED, tools.clock)

    async def close(self) -> None:
        """The service stops."""
        await self._tools.resolver.close()

    def decide(self, request: Request) -> str | Awaitable[str]:
        """The action for one request; an awaitable where the DNS has to be asked first."""
        if request.state not in _CHECKED_AT:
            return DUNNO
        key = _key(request)
        message = self._messages.get(key) if request.instance else None
        if message is not None:
            return self._act(request, message)
        if skipped := self._why_not(request):
            return self._act(request, self._remembered(request, key, _Message(None, skipped)))
        helo, mail_from = self._checks(request)
        helo_result = helo.now() if helo else None
        mail_from_result = mail_from.now() if mail_from else None
        if (helo and not helo_result) or (mail_from and not mail_from_result):
            return self._act_later(request, key, helo, mail_from)
        return self._act(request, self._checked(request, key, helo_result, mail_from_result))

    def _why_not(self, request: Request) -> str:
        """Why the message is not checked; "" where it is."""
        client = request.client_address
        if request.login:
            return "from a SASL user"
        if client in self._tools.trusted or client in self._skip:
            return "from one of us"
        if self._ignored and self._ignored.matches(request.client_name, client):
            return "client in ignore_hosts"
        if client_of(client) is None:
            return "the client's address is not known"
        return ""

    # -- checking

    def _checks(self, request: Request) -> tuple[Check | None, Check | None]:
        """What is to be checked: HELO, and MAIL FROM unless it is empty."""
        helo, sender = octets(request.helo), octets(request.sender)

        def check(mail_from: bytes, budget: Budget) -> Check:
            return Check(
                self._tools.resolver,
                budget,
                request.client_address,
                helo,
                mail_from,
                receiver=self._receiver,
                outcomes=self._outcomes,
            )

        book = self._rule_book
        budget = self._tools.new_budget()
        return (
            # Each has its own: what a stranger's HELO costs must not cut short the check of the sender, whose
            # failure would become a temporary error.
            check(b"", budget.another()) if book.checks_helo else None,
            check(sender, budget) if sender and book.checks_mail_from else None,
        )

    async def _act_later(
        self, request: Request, key: Key, helo: Check | None, mail_from: Check | None
    ) -> str:
        if helo is None or mail_from is None:
            helo_result, mail_from_result = await _finished(helo), await _finished(mail_from)
        else:
            helo_result, mail_from_result = await asyncio.gather(helo.finish(), mail_from.finish())
        action = self._act(request, self._checked(request, key, helo_result, mail_from_result))
        return action if isinstance(action, str) else await action

    def _checked(
        self, request: Request, key: Key, helo: SpfResult | None, mail_from: SpfResult | None
    ) -> _Message:
        """Count the results, and make the fields that the message is to get."""
        results = Results(
            request.client_address,
            request.helo,
            request.sender,
            _without_bulk(helo),
            _without_bulk(mail_from),
        )
        metrics = self._tools.metrics
        if helo is not None:
            metrics.result("spf-helo", helo.verdict).inc()
        if mail_from is not None:
            metrics.result("spf", mail_from.verdict).inc()
        for result in (helo, mail_from):
            if result is not None and result.fault:
                metrics.error("internal")
                self._tools.log.event(
                    "error",
                    "an SPF check failed in itself",
                    error=result.fault,
                    domain=result.domain,
                    client=request.client_address,
                )
        message = _Message(results, fields=deque(self._fields.actions(results)))
        return self._remembered(request, key, message)

    def _remembered(self, request: Request, key: Key, message: _Message) -> _Message:
        if request.instance:
            self._messages.put(key, message)
        return message

    # -- acting

    def _act(self, request: Request, message: _Message) -> str | Awaitable[str]:
        """The action for this recipient."""
        results = message.results
        # What was decided recipient by recipient is not decided again for all of them.
        again = message.decided and request.state != "RCPT"
        message.decided = True
        if results is None or again:
            return self._told(request, message, None)
        rules = self._rule_book.rules_for(request.recipient)
        refusal = rules.refusal(results)
        if refusal is None or rules.dry_run:
            return self._told(request, message, refusal, spared="dry_run" if refusal else "")
        if message.allowed is None and self._allow:
            allowed = self._allow.at_once(request)
            if allowed is None:
                return self._act_when_known(request, message, refusal)
            message.allowed = allowed
        return self._told(request, message, refusal, spared=message.allowed or "")

    async def _act_when_known(self, request: Request, message: _Message, refusal: Refusal) -> str:
        message.allowed = await self._allow.found_out(request)
        return self._told(request, message, refusal, spared=message.allowed)

    def _told(self, request: Request, message: _Message, refusal: Refusal | None, spared: str = "") -> str:
        """Write the message's line, and give the action. *spared* says why a refusal is none."""
        action = "accept"
        if refusal is not None and not spared:
            action = "tempfail" if refusal.temporary else "reject"
        if action != message.logged:
            if not message.logged:
                self._tools.metrics.verdict(action).inc()
            message.logged = action
            self._log(request, message, refusal, action, spared)
        if refusal is not None and not spared:
            return refusal.action
        if message.fields and request.state != _TOO_LATE_TO_WRITE:
            return message.fields.popleft()
        return DUNNO

    def _log(
        self, request: Request, message: _Message, refusal: Refusal | None, action: str, spared: str
    ) -> None:
        results = message.results
        helo = results.helo if results else None
        sender = results.sender if results else None
        told = results.mail_from if results else None
        self._tools.log.message(
            request.queue_id,
            instance=None if request.queue_id else request.instance or None,
            client=request.client_address,
            helo=request.helo,
            sender=request.sender.rpartition("@")[2] or "<>",
            spf="skipped" if results is None else told.verdict.value if told else None,
            spf_helo=helo.verdict.value if helo else None,
            mechanism=(sender.mechanism or None) if sender else None,
            problem=(sender.problem or None) if sender else None,
            reason=message.skipped or None,
            recipient=request.recipient if action != "accept" else None,
            would=refusal.action.partition(" ")[0] if refusal and spared else None,
            spared=spared or None,
            action=None if action == "accept" else action,
        )


def _without_bulk(result: SpfResult | None) -> SpfResult | None:
    """*result* as it is remembered: a record of 64 kB would be kept with thousands of messages."""
    if result is None or len(result.record) <= _LONGEST_RECORD:
        return result
    return replace(result, record=result.record.strip()[:_LONGEST_RECORD])


async def _finished(check: Check | None) -> SpfResult | None:
    return None if check is None else await check.finish()


def _key(request: Request) -> Key:
    """What makes a message. ``instance`` alone would do for one Postfix, but several may ask."""
    return request.instance, request.client_address, request.helo, request.sender
