"""Stores to test: an SQLite file, a real Redis server, and what both need around them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from gatepost.log import Logger
from gatepost.metrics import Metrics
from policy.greylisting.counts import Counts
from policy.greylisting.decision import Decision, Rules
from policy.greylisting.desk import Desk
from policy.greylisting.key import Triplet
from policy.greylisting.redis_store import RedisStore
from policy.greylisting.sqlite_store import SqliteStore
from policy.greylisting.store import Question, Store
from tests.harness.redis_server import RedisServer
from tests.harness.waiting import PATIENCE

Result = TypeVar("Result")

DAY = 86_400.0
NOW = 1_700_000_000.0
RULES = Rules(delay=300, retry_window=2 * DAY, max_age=35 * DAY, auto_allow=5, auto_allow_interval=3600)

NETWORK = "192.0.2.0/24"


def triplet(
    sender: str = "alice@example.org", recipient: str = "bob@example.net", origin: str = NETWORK
) -> Triplet:
    return Triplet(origin, sender, recipient)


def sqlite_store(directory: Path, rules: Rules = RULES, log: Logger | None = None) -> SqliteStore:
    return SqliteStore(directory / "greylist.sqlite", rules, log or Logger(level="error"))


def redis_store(server: RedisServer, rules: Rules = RULES, timeout: float = PATIENCE) -> RedisStore:
    return RedisStore(server.url, rules, timeout)


def counts() -> Counts:
    return Counts(Metrics("greylist"))


def run(use: Callable[[Store], Coroutine[Any, Any, Result]], store: Store) -> Result:
    """Use a store on an event loop of its own, and close it."""

    async def used() -> Result:
        try:
            return await use(store)
        finally:
            await store.close()

    return asyncio.run(used())


async def ask(desk: Desk, *triplets: Triplet) -> list[Decision | None]:
    """Ask about all at once."""
    return await asyncio.gather(*(desk.judge(Question(each)) for each in triplets))


async def until(condition: Callable[[], Awaitable[object]], what: str) -> None:
    """Ask *condition* on the event loop until it gives something true, for at most PATIENCE."""
    try:
        async with asyncio.timeout(PATIENCE):
            while not await condition():  # noqa: ASYNC110 - what is waited for has no event
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise TimeoutError(f"{what}: nothing after {PATIENCE:g} s") from None
