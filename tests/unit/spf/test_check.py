"""Checks with DNS: what is asked, in which order, and when a check ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from gatepost.config.sections import Dns
from gatepost.dns.answer import Answer, Outcome
from gatepost.dns.budget import Budget
from gatepost.dns.resolver import Resolver
from gatepost.dns.zone import parse_zone
from gatepost.spf import check as module
from gatepost.spf.check import Check, check
from gatepost.spf.result import Identity, SpfResult
from tests.harness.waiting import PATIENCE
from tests.unit.spf.suite import Zone, answer


class Slow:
    """Answers from a zone, each when it is let go; keeps nothing, as a cache with TTL 0."""

    def __init__(self, zone: Zone, held: frozenset[str] = frozenset()) -> None:
        self.zone = zone
        self.held = held
        self.asked: list[str] = []
        self.cancelled: list[str] = []
        self.all_held = asyncio.Event()

    def cached(self, name: str, rdtype: str) -> Answer | None:
        return None

    async def lookup(self, name: str, rdtype: str, budget: Budget | None = None) -> Answer:
        self.asked.append(f"{rdtype} {name}")
        if budget is not None and (refusal := budget.spend()):
            return Answer(Outcome.TIMEOUT, detail=refusal)
        try:
            if name in self.held:
                if self.held <= {question.partition(" ")[2] for question in self.asked}:
                    self.all_held.set()
                await asyncio.Event().wait()
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            self.cancelled.append(name)
            raise
        return answer(self.zone, name, rdtype)


INCLUDES: Zone = {
    "example.org": [{"TXT": "v=spf1 include:a.example.org include:b.example.org include:c.example.org -all"}],
    "a.example.org": [{"TXT": "v=spf1 ip4:10.0.0.1 -all"}],
    "b.example.org": [{"TXT": "v=spf1 a -all"}, {"A": "192.0.2.1"}],
    "c.example.org": [{"TXT": "v=spf1 ip4:10.0.0.3 -all"}],
}


def run(resolver: Any, client: str = "192.0.2.1", **settings: Any) -> SpfResult:
    budget = Budget(Dns(**settings))
    return asyncio.run(
        asyncio.wait_for(check(resolver, budget, client, b"mx.example.org", b"bob@example.org"), PATIENCE)
    )


def test_every_question_is_asked_once() -> None:
    resolver = Slow(INCLUDES)
    assert run(resolver).verdict == "pass"
    assert sorted(resolver.asked) == [
        "A b.example.org",
        "TXT a.example.org",
        "TXT b.example.org",
        "TXT c.example.org",
        "TXT example.org",
    ]


def test_what_is_not_needed_is_not_waited_for() -> None:
    resolver = Slow(INCLUDES, held=frozenset({"c.example.org"}))
    assert run(resolver).verdict == "pass"
    assert resolver.cancelled == ["c.example.org"]


def test_a_spent_budget_is_a_temporary_error() -> None:
    result = run(Slow(INCLUDES), message_queries=3)
    assert result.verdict == "temperror"
    assert "asked all the DNS questions" in result.problem


def test_cancelling_leaves_nothing_behind() -> None:
    resolver = Slow(INCLUDES, held=frozenset({"a.example.org", "b.example.org", "c.example.org"}))

    async def cancelled() -> None:
        task = asyncio.create_task(
            check(resolver, Budget(Dns()), "192.0.2.1", b"x", b"bob@example.org")  # type: ignore[arg-type]
        )
        await asyncio.wait_for(resolver.all_held.wait(), PATIENCE)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(cancelled())
    assert sorted(resolver.cancelled) == ["a.example.org", "b.example.org", "c.example.org"]


@pytest.mark.parametrize(
    ("client", "helo", "mail_from", "identity", "problem"),
    [
        ("unknown", b"mx.example.org", b"bob@example.org", "mailfrom", "the client's address is not known"),
        ("", b"mx.example.org", b"", "helo", "the client's address is not known"),
        ("192.0.2.1", b"[192.0.2.1]", b"", "helo", "HELO has an address literal"),
        ("192.0.2.1", b"mx.example.org", b"bob", "mailfrom", "MAIL FROM has a name of a single label"),
    ],
)
def test_nothing_to_check(client: str, helo: bytes, mail_from: bytes, identity: str, problem: str) -> None:
    resolver = Slow({})
    result = asyncio.run(check(resolver, Budget(Dns()), client, helo, mail_from))  # type: ignore[arg-type]
    assert (result.verdict, result.identity, result.problem) == ("none", identity, problem)
    assert resolver.asked == []


def endless(name: str, rdtype: str) -> Answer:
    """Every name has exchanges of other names."""
    if rdtype == "MX":
        return Answer(Outcome.FOUND, tuple((n, f"{n}.{name}") for n in range(10)))
    if rdtype == "A":
        return Answer(Outcome.FOUND, ("10.0.0.1",))
    return Answer(Outcome.FOUND, (b"v=spf1 " + b"mx:%{i}.a.example.org mx " * 5 + b"-all",))


def enormous(name: str, rdtype: str) -> Answer:
    """Every record is as long as it may be, and includes the next one."""
    record = b"v=spf1 " + b"ip4:10.0.0.1 " * 900 + b"include:a." + name.encode()
    return Answer(Outcome.FOUND, (record,))


@pytest.mark.parametrize(
    ("answers", "verdict", "terms"),
    [(endless, "fail", 20_000), (enormous, "permerror", 20_000), (endless, "permerror", 20)],
)
def test_there_is_an_end(
    answers: Callable[[str, str], Answer], verdict: str, terms: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_TERMS", terms)

    class Hostile(Slow):
        async def lookup(self, name: str, rdtype: str, budget: Budget | None = None) -> Answer:
            return answers(name, rdtype)

    result = run(Hostile({}), message_queries=10_000)
    assert (result.verdict, result.fault) == (verdict, "")


def test_on_the_real_resolver() -> None:
    zone = parse_zone("""
        example.org: [{TXT: "v=spf1 include:a.example.org -all"}]
        a.example.org: [{CNAME: b.example.org}]
        b.example.org: [{TXT: "v=spf1 ip4:192.0.2.1 -all"}]
    """)

    async def checked() -> SpfResult:
        resolver = Resolver(Dns(), zone=zone)
        checking = Check(
            resolver, Budget(Dns()), "::ffff:192.0.2.1", b"mx.example.org", b"bob@example.org", traced=True
        )
        result = checking.now()
        await resolver.close()
        assert checking.trace is not None
        assert len(checking.trace.steps) == 8
        assert result is not None
        return result

    result = asyncio.run(checked())
    assert (result.verdict, result.identity) == ("pass", Identity.MAIL_FROM)
