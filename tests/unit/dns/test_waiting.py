"""Many who ask at once, budgets, and those who leave early."""

from __future__ import annotations

import asyncio

import pytest

from gatepost.dns.answer import Answer, Outcome
from gatepost.dns.budget import Budget
from gatepost.dns.resolver import Resolver
from tests.harness.clock import Seconds
from tests.harness.dns_server import DnsServer, ZoneData
from tests.unit.dns.support import LOOPS, run, settings

ZONE: ZoneData = {
    "example.org": [{"TXT": "x"}],
    "slow.org": [{"DELAY": 0.2}, {"TXT": "x"}, {"TTL": 0}],
    "held.org": ["HELD", {"TXT": "x"}],
    "silent.org": ["TIMEOUT"],
    "*": [{"DELAY": 0.05}, {"A": "192.0.2.1"}],
}


async def asked(dns_server: DnsServer, name: str) -> None:
    """Wait until the query has come in."""
    while not dns_server.count(name):  # noqa: ASYNC110 - the server counts in a thread of its own
        await asyncio.sleep(0.005)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_thousand_identical_questions_are_one_query(loop: str) -> None:
    async def dialogue() -> list[Answer]:
        resolver = Resolver(settings(dns_server))
        spellings = ("slow.org", "SLOW.org", "slow.org.")
        return await asyncio.gather(*(resolver.lookup(spellings[n % 3], "TXT") for n in range(1000)))

    with DnsServer(ZONE) as dns_server:
        answers = run(dialogue(), loop)
        assert dns_server.count() == 1
    assert {answer.records for answer in answers} == {(b"x",)}


def test_an_answer_with_ttl_0_is_for_those_who_wait_alone() -> None:
    async def dialogue() -> None:
        resolver = Resolver(settings(dns_server))
        for _ in range(2):
            await asyncio.gather(resolver.lookup("slow.org", "TXT"), resolver.lookup("slow.org", "TXT"))

    with DnsServer(ZONE) as dns_server:
        run(dialogue())
        assert dns_server.count() == 2


@pytest.mark.parametrize("loop", LOOPS)
def test_many_different_questions_at_once(loop: str) -> None:
    async def dialogue() -> set[Outcome]:
        # So patient that none is asked again, however slow this machine is today.
        resolver = Resolver(settings(dns_server, timeout=60, message_timeout=60))
        answers = await asyncio.gather(*(resolver.lookup(f"n{n}.example.net", "A") for n in range(500)))
        return {answer.outcome for answer in answers}

    with DnsServer(ZONE) as dns_server:
        assert run(dialogue(), loop) == {Outcome.FOUND}
        assert dns_server.count() == 500


def test_who_has_less_time_leaves_alone() -> None:
    async def dialogue() -> tuple[Answer, Answer]:
        configuration = settings(dns_server, message_timeout=0.05)
        resolver = Resolver(configuration)
        hurried = asyncio.create_task(resolver.lookup("held.org", "TXT", Budget(configuration)))
        patient = asyncio.create_task(resolver.lookup("held.org", "TXT"))
        await hurried
        dns_server.release()
        return await hurried, await patient

    with DnsServer(ZONE) as dns_server:
        hurried, patient = run(dialogue())
    assert (hurried.outcome, patient.outcome) == (Outcome.TIMEOUT, Outcome.FOUND)
    assert "time" in hurried.detail


def test_who_is_cancelled_leaves_alone() -> None:
    async def dialogue() -> Answer:
        resolver = Resolver(settings(dns_server))
        first = asyncio.create_task(resolver.lookup("held.org", "TXT"))
        second = asyncio.create_task(resolver.lookup("held.org", "TXT"))
        await asked(dns_server, "held.org")
        first.cancel()
        dns_server.release()
        answer = await second
        assert first.cancelled()
        return answer

    with DnsServer(ZONE) as dns_server:
        assert run(dialogue()).outcome is Outcome.FOUND
        assert dns_server.count() == 1


def test_a_budget_is_spent_on_questions_and_not_on_the_cache() -> None:
    async def dialogue() -> list[str]:
        configuration = settings(dns_server, message_queries=2)
        resolver = Resolver(configuration)
        await resolver.lookup("example.org", "TXT")
        budget = Budget(configuration)
        asked_for = (
            "example.org",
            "a.org",
            "a..org",
            "example.org",
            "b.org",
            "c.org",
            "example.org",
            "a.org",
        )
        answers = [(await resolver.lookup(name, "TXT", budget)) for name in asked_for]
        return [f"{answer.outcome}" for answer in answers]

    with DnsServer({"example.org": [{"TXT": "x"}], "*": [{"TXT": "x"}]}) as dns_server:
        assert run(dialogue()) == [
            "found",
            "found",
            "nxdomain",
            "found",
            "found",
            "timeout",
            "found",
            "found",
        ]
        assert dns_server.count() == 3


def test_a_budget_whose_time_is_over_asks_nothing() -> None:
    async def dialogue() -> Answer:
        clock = Seconds()
        configuration = settings(dns_server, message_timeout=20.0)
        resolver = Resolver(configuration)
        budget = Budget(configuration, clock)
        clock.now += 20
        return await resolver.lookup("example.org", "TXT", budget)

    with DnsServer(ZONE) as dns_server:
        assert run(dialogue()).outcome is Outcome.TIMEOUT
        assert dns_server.count() == 0


@pytest.mark.parametrize("loop", LOOPS)
def test_closing_frees_all_who_wait(loop: str) -> None:
    async def dialogue() -> tuple[Answer, Answer, Answer]:
        resolver = Resolver(settings(dns_server, timeout=30.0))
        waiting = asyncio.gather(resolver.lookup("silent.org", "A"), resolver.lookup("silent.org", "TXT"))
        await asked(dns_server, "silent.org")
        await resolver.close()
        return *(await waiting), await resolver.lookup("example.org", "TXT")

    with DnsServer(ZONE) as dns_server:
        answers = run(dialogue(), loop)
    assert {(answer.outcome, answer.detail) for answer in answers} == {
        (Outcome.SERVFAIL, "the resolver is closed")
    }


def test_closing_twice_and_with_nothing_under_way() -> None:
    async def dialogue() -> None:
        resolver = Resolver(settings(dns_server))
        await resolver.close()
        await resolver.close()

    with DnsServer(ZONE) as dns_server:
        run(dialogue())


def test_places_are_bounded_and_nobody_waits_for_one_for_ever() -> None:
    async def dialogue() -> list[str]:
        resolver = Resolver(settings(dns_server, timeout=1.5), places=1)
        answers = await asyncio.gather(
            *(resolver.lookup(name, "A") for name in ("a.org", "silent.org", "b.org"))
        )
        return [f"{answer.outcome} {answer.detail.split(' ')[0]}" for answer in answers]

    with DnsServer(ZONE) as dns_server:
        assert run(dialogue()) == ["found ", "timeout no", "timeout too"]
        assert dns_server.count("b.org") == 0


SILENCE: ZoneData = {"example.org": [{"TXT": "x"}], "*": ["TIMEOUT"]}


@pytest.mark.parametrize("loop", LOOPS)
def test_silent_servers_keep_nobody_else_waiting(loop: str) -> None:
    """Thirty messages of a stranger want fifty answers each, and never get one."""

    async def dialogue() -> Answer:
        resolver = Resolver(settings(dns_server, timeout=60.0), places=80)
        budgets = [Budget(settings(dns_server)) for _ in range(30)]
        stranger = [
            asyncio.create_task(resolver.lookup(f"{n}.{number}.silent.org", "TXT", budget))
            for number, budget in enumerate(budgets)
            for n in range(50)
        ]
        await asyncio.sleep(0)  # all have asked
        answer = await resolver.lookup("example.org", "TXT", Budget(settings(dns_server)))
        assert not any(task.done() for task in stranger)
        await resolver.close()
        await asyncio.gather(*stranger)
        return answer

    with DnsServer(SILENCE) as dns_server:
        assert run(dialogue(), loop).outcome is Outcome.FOUND


def test_a_name_that_a_stranger_waits_to_ask_for_is_asked_for_at_once() -> None:
    async def dialogue() -> tuple[Answer, Answer]:
        resolver = Resolver(settings(dns_server, timeout=60.0), places=40)
        budget = Budget(settings(dns_server))
        names = [f"{n}.silent.org" for n in range(50)]
        silent = [asyncio.create_task(resolver.lookup(name, "TXT", budget)) for name in names]
        waiting = asyncio.create_task(resolver.lookup("example.org", "TXT", budget))
        await asyncio.sleep(0)
        assert not dns_server.count("example.org")
        answer = await resolver.lookup("example.org", "TXT", Budget(settings(dns_server)))
        both = answer, await waiting
        assert not any(task.done() for task in silent)
        await resolver.close()
        await asyncio.gather(*silent)
        return both

    with DnsServer(SILENCE) as dns_server:
        assert {answer.outcome for answer in run(dialogue())} == {Outcome.FOUND}
        assert dns_server.count("example.org") == 1


def test_what_nobody_waits_for_any_more_is_not_asked() -> None:
    """A message that ends takes the questions with it that have not had their turn."""

    async def dialogue() -> tuple[int, Answer]:
        resolver = Resolver(settings(dns_server, timeout=60.0), places=1)
        asking = asyncio.create_task(resolver.lookup("held.org", "TXT"))
        budget = Budget(settings(dns_server))
        left = [asyncio.create_task(resolver.lookup(f"{n}.silent.org", "TXT", budget)) for n in range(9)]
        await asked(dns_server, "held.org")
        for task in left:
            task.cancel()
        dns_server.release()
        await asking
        return dns_server.count(), await resolver.lookup("example.org", "TXT")

    with DnsServer({**SILENCE, "held.org": ZONE["held.org"]}) as dns_server:
        before, answer = run(dialogue())
        assert (before, answer.outcome) == (1, Outcome.FOUND)
        assert dns_server.count() == 2


def test_too_many_questions_are_no_sign_that_the_servers_are_silent() -> None:
    complaints: list[str] = []

    async def dialogue() -> list[Answer]:
        resolver = Resolver(settings(dns_server, timeout=0.1), places=1, complain=complaints.append)
        return await asyncio.gather(*(resolver.lookup(f"{n}.silent.org", "A") for n in range(9)))

    with DnsServer(SILENCE) as dns_server:
        answers = run(dialogue())
    assert {answer.outcome for answer in answers} == {Outcome.TIMEOUT}
    assert sum("too many" in answer.detail for answer in answers) > 3
    assert complaints == []
