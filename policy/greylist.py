"""greylist: lets a stranger's first delivery attempt wait, and remembers who came again.

What waits is the triplet of client network, sender and recipient. Who is
known passes at once: by triplet, by network or SPF domain after some
deliveries, by the lists. Whatever breaks here, mail passes.
"""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from email.utils import formatdate

from gatepost.config.greylist_settings import Greylist
from gatepost.dns.budget import Budget
from gatepost.dns.resolver import Resolver
from gatepost.domains import InvalidNameError, to_ascii
from gatepost.hosts import HostList
from gatepost.log import Logger
from gatepost.networks import Networks
from policy.greylisting.allow import AddressList, ClientList
from policy.greylisting.counts import Counts
from policy.greylisting.decision import Decision, Outcome
from policy.greylisting.desk import Desk
from policy.greylisting.key import Triplet, network, normalise_recipient, normalise_sender, spf_origin
from policy.greylisting.store import Question
from policy.greylisting.vouching import SpfVouching, is_listed, list_question
from policy.handler import DUNNO, Request
from policy.instances import Instances

HEADER = "X-Greylist"

_STAGES = frozenset({"RCPT", "DATA", "END-OF-MESSAGE"})
"""Where a message can still be deferred for what it is, and its sender is known."""

_MOST_MESSAGES = 4096
_LONGEST_MESSAGE = 3600.0
"""Seconds for which it is remembered what a message has had already: Postfix gives up on a client earlier."""


@dataclass(frozen=True, slots=True)
class AllowLists:
    """Who is never greylisted."""

    clients: ClientList = field(default_factory=ClientList)
    recipients: AddressList = field(default_factory=AddressList)
    senders: AddressList = field(default_factory=AddressList)


@dataclass(slots=True)
class Tools:
    """What the service works with. ``spf`` is None where SPF has no say; ``clock`` gives seconds since 1970."""

    host: str
    trusted: Networks
    lists: AllowLists
    desk: Desk
    resolver: Resolver
    new_budget: Callable[[], Budget]
    log: Logger
    counts: Counts
    spf: SpfVouching | None = None
    clock: Callable[[], float] = field(default=time.time)


class GreylistHandler:
    """The service."""

    def __init__(self, name: str, settings: Greylist, tools: Tools) -> None:
        self.name = name
        self.settings = settings
        self.tools = tools
        self._ignored = HostList(settings.ignore_hosts)
        self._domains = frozenset(settings.recipient_domains)
        self._counted: Instances[bool] = Instances(_MOST_MESSAGES, _LONGEST_MESSAGE, tools.clock)
        self._marked: Instances[bool] = Instances(_MOST_MESSAGES, _LONGEST_MESSAGE, tools.clock)

    def decide(self, request: Request) -> str | Awaitable[str]:
        """The action for one request."""
        if request.state not in _STAGES:
            return DUNNO
        why = self._why_not(request)
        if why:
            reason, entry = why
            return self._passed(request, reason, entry=entry or None)
        return self._greylist(request)

    async def close(self) -> None:
        """Let go of store and resolver."""
        await self.tools.desk.close()
        await self.tools.resolver.close()

    def _why_not(self, request: Request) -> tuple[str, str] | None:
        """Why this request is not greylisted, and the entry that says so; None where it is."""
        tools = self.tools
        address = request.client_address
        if request.login:
            return "login", ""
        if address in tools.trusted:
            return "trusted", ""
        if self._ignored and self._ignored.matches(request.client_name, address):
            return "ignored", ""
        if not self._concerns(request.recipient):
            return "not_chosen", ""
        for reason, entry in (
            ("allowed_client", tools.lists.clients.find(request.client_name, address)),
            (
                "allowed_recipient",
                tools.lists.recipients.find(request.recipient) if request.recipient else "",
            ),
            ("allowed_sender", tools.lists.senders.find(request.sender)),
        ):
            if entry:
                return reason, entry
        if not network(address, self.settings.ipv4_prefix, self.settings.ipv6_prefix):
            return "no_address", ""
        return None

    def _concerns(self, recipient: str) -> bool:
        """Whether the recipient's domain is one to greylist for."""
        choice = self.settings.greylist
        if choice == "all":
            return True
        domain = recipient.rpartition("@")[2]
        try:
            domain = to_ascii(domain)
        except InvalidNameError:
            pass  # it is no domain that could have been chosen
        return (domain in self._domains) == (choice == "opt_in")

    async def _greylist(self, request: Request) -> str:
        tools = self.tools
        if self.settings.dnswl and await self._is_listed(request.client_address, self.settings.dnswl):
            return self._passed(request, "dnswl")
        triplet = Triplet(
            await self._origin(request),
            normalise_sender(request.sender),
            normalise_recipient(request.recipient),
        )
        counted = self._counted.get(request.instance)
        decision = await tools.desk.judge(Question(triplet, counts=not counted))
        if decision is None:
            return self._passed(request, "store_error", triplet.origin)
        if decision.outcome is Outcome.DEFERRED:
            return self._deferred(request, decision, triplet.origin)
        if request.instance and decision.outcome in (Outcome.DELAYED, Outcome.KNOWN):
            self._counted.put(request.instance, True)
        action = DUNNO
        if decision.outcome is Outcome.DELAYED and not self.settings.dry_run:
            action = self._marked_once(request, decision)
        return self._passed(
            request, decision.outcome.value, triplet.origin, action, seconds=round(decision.seconds) or None
        )

    async def _is_listed(self, address: str, zone: str) -> bool:
        name = list_question(address, zone)
        resolver = self.tools.resolver
        answer = resolver.cached(name, "A")
        if answer is None:
            answer = await resolver.lookup(name, "A", self.tools.new_budget())
        return is_listed(answer)

    async def _origin(self, request: Request) -> str:
        """What the client is known by: the domain that vouches for it, or its network."""
        spf = self.tools.spf
        if spf is not None:
            asked = request.client_address, request.helo, request.sender
            domain = spf.known(*asked)
            if domain is None:
                domain = await spf.domain(*asked)
            if domain:
                return spf_origin(domain)
        return network(request.client_address, self.settings.ipv4_prefix, self.settings.ipv6_prefix)

    def _marked_once(self, request: Request, decision: Decision) -> str:
        """Tell in the message's header how long it waited: once, however many recipients it has."""
        if not decision.seconds or self._marked.get(request.instance):
            return DUNNO
        if request.instance:
            self._marked.put(request.instance, True)
        date = formatdate(self.tools.clock(), localtime=True)
        seconds = round(decision.seconds)
        return f"PREPEND {HEADER}: delayed {seconds} seconds by gatepost at {self.tools.host}; {date}"

    def _deferred(self, request: Request, decision: Decision, origin: str) -> str:
        seconds = max(1, math.ceil(decision.seconds))
        self._tell(request, "deferred", origin, seconds=seconds)
        if self.settings.dry_run:
            return DUNNO
        text = self.settings.text.replace("{seconds}", str(seconds))
        if "{domain}" in text:
            domain = normalise_recipient(request.recipient).rpartition("@")[2]
            text = text.replace("{domain}", domain if domain.isascii() else "")
        # RFC 3463 §3.3: other or undefined mail system status, persistent no longer than the delay.
        return f"DEFER_IF_PERMIT 4.2.0 {text}"

    def _passed(
        self, request: Request, reason: str, origin: str = "", action: str = DUNNO, **facts: object
    ) -> str:
        self._tell(request, reason, origin, **facts)
        return action

    def _tell(self, request: Request, outcome: str, origin: str, **facts: object) -> None:
        """Count the request and write its line."""
        self.tools.counts.outcome(outcome)
        self.tools.log.message(
            request.queue_id,
            client=request.client_address,
            sender=request.sender,
            recipient=request.recipient,
            greylist=outcome,
            origin=origin or None,
            dry_run=True if self.settings.dry_run and outcome == "deferred" else None,
            **facts,
        )
