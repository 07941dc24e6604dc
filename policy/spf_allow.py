"""Clients that are never refused for their SPF results: forwarders, partners, mailing list services."""

from __future__ import annotations

from collections.abc import Callable

from gatepost.config.spf_settings import Allow
from gatepost.dns.budget import Budget
from gatepost.dns.resolver import Resolver
from gatepost.networks import Networks, parse_address
from gatepost.spf.check import check
from gatepost.spf.result import Verdict
from policy.handler import Request


class AllowList:
    """The lists under ``allow:``. Asked only about clients that would be refused; it may need the DNS."""

    def __init__(self, allow: Allow, resolver: Resolver, new_budget: Callable[[], Budget]) -> None:
        self._resolver = resolver
        self._new_budget = new_budget
        self._addresses = Networks(allow.addresses)
        self._helo = frozenset(allow.helo)
        self._domains = tuple(allow.domains)
        self._ptr = frozenset(allow.ptr)
        self._any = bool(allow.addresses or allow.helo or allow.domains or allow.ptr)

    def __bool__(self) -> bool:
        return self._any

    def at_once(self, request: Request) -> str | None:
        """Which list has the client, "" for none; None where ``found_out`` has to be awaited."""
        if request.client_address in self._addresses:
            return "allow.addresses"
        if self._ptr and _within(request.client_name, self._ptr):
            return "allow.ptr"
        return None if self._domains or _name(request.helo) in self._helo else ""

    async def found_out(self, request: Request) -> str:
        """The same with the DNS: names that a client only claims have to have its address."""
        budget = self._new_budget()
        if _name(request.helo) in self._helo and await self._has_address(request, budget):
            return "allow.helo"
        for domain in self._domains:
            sender = f"postmaster@{domain}".encode()
            result = await check(self._resolver, budget, request.client_address, domain.encode(), sender)
            if result.verdict is Verdict.PASS:
                return "allow.domains"
        return ""

    async def _has_address(self, request: Request, budget: Budget) -> bool:
        client = parse_address(request.client_address)
        if client is None:
            return False
        rdtype = "A" if client.version == 4 else "AAAA"
        answer = await self._resolver.lookup(_name(request.helo), rdtype, budget)
        return any(parse_address(str(address)) == client for address in answer.records)


def _name(text: str) -> str:
    return text.lower().removesuffix(".")


def _within(name: str, domains: frozenset[str]) -> bool:
    """Whether *name* is one of *domains*, or below one."""
    name = _name(name)
    while name:
        if name in domains:
            return True
        name = name.partition(".")[2]
    return False
