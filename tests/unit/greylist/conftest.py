"""One Redis server for all tests of this room; who breaks one starts its own."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from policy.greylisting.decision import Rules
from policy.greylisting.store import Store
from tests.harness.redis_server import RedisServer
from tests.unit.greylist.support import RULES, redis_store, sqlite_store

MakeStore = Callable[..., Store]


@pytest.fixture(scope="session")
def shared_redis() -> Iterator[RedisServer]:
    with tempfile.TemporaryDirectory(prefix="gatepost-") as directory, RedisServer(Path(directory)) as server:
        yield server


@pytest.fixture
def redis_server(open_place: Path) -> Iterator[RedisServer]:
    """A server that the test may kill."""
    with RedisServer(open_place) as server:
        yield server


@pytest.fixture(params=["sqlite", "redis"])
def make_store(request: pytest.FixtureRequest, tmp_path: Path) -> MakeStore:
    """Makes stores that share what they remember; empty at first."""
    if request.param == "sqlite":
        return lambda rules=RULES: sqlite_store(tmp_path, rules)
    server: RedisServer = request.getfixturevalue("shared_redis")
    with redis.Redis.from_url(server.url) as client:
        client.flushdb()

    def make(rules: Rules = RULES) -> Store:
        return redis_store(server, rules)

    return make
