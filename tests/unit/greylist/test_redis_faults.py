"""What a Redis server can do to us: die, hang, be full, forget the script."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import redis
from redis.exceptions import ConnectionError as RedisConnectionError

from policy.greylisting.decision import Decision, Outcome, Rules
from policy.greylisting.desk import Desk
from policy.greylisting.redis_store import PREFIX, RedisStore
from policy.greylisting.store import Question, Search, StoreError
from tests.harness.log_file import LogFile
from tests.harness.ports import free_port
from tests.harness.redis_server import RedisServer
from tests.harness.waiting import PATIENCE
from tests.unit.greylist.support import (
    DAY,
    NOW,
    RULES,
    ask,
    counts,
    redis_store,
    triplet,
    until,
)

DEFERRED = Decision(Outcome.DEFERRED, 300)
QUICK = 0.2


@contextmanager
def client(server: RedisServer) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(server.url) as connection:
        yield connection


def test_killed_and_restarted_under_load(redis_server: RedisServer, log: LogFile) -> None:
    """Mail passes while the server is away, greylisting goes on when it is back, and nothing promised is lost."""

    async def scene() -> None:
        now = NOW
        desk = Desk(
            redis_store(redis_server, Rules(300, 2 * DAY, 35 * DAY, 0, 0)),
            timeout=PATIENCE,
            log=log.log,
            counts=counts(),
            clock=lambda: now,
            retry_after=0.02,
        )
        promised: list[str] = []
        passed = 0
        going_on = True

        async def load(name: str) -> None:
            nonlocal passed
            number = 0
            while going_on:
                number += 1
                sender = f"{name}.{number}@example.org"
                (decision,) = await ask(desk, triplet(sender))
                if decision is None:
                    passed += 1
                    await asyncio.sleep(0.001)
                else:
                    promised.append(sender)

        async def promises(least: int) -> bool:
            return len(promised) >= least

        clients = [asyncio.create_task(load(f"c{n}")) for n in range(8)]
        for _ in range(2):
            least = len(promised) + 200
            await until(lambda: promises(least), "decisions")  # noqa: B023
            redis_server.process.signal(signal.SIGKILL)
            await asyncio.to_thread(redis_server.process.wait)
            before = passed

            async def passes() -> bool:
                return passed > before + 20  # noqa: B023

            await until(passes, "mail that passes")
            await asyncio.to_thread(redis_server.start)
        least = len(promised) + 200
        await until(lambda: promises(least), "decisions after the restart")
        going_on = False
        await asyncio.gather(*clients)
        now = NOW + 300
        for start in range(0, len(promised), 50):
            answers = await ask(desk, *(triplet(sender) for sender in promised[start : start + 50]))
            assert {answer and answer.outcome for answer in answers} == {Outcome.DELAYED}
        await desk.close()

    asyncio.run(scene())
    told = [message for message in log.messages if "store" in message]
    assert told.count("the greylist's store works again") == 2
    assert len([message for message in told if "does not work" in message]) == 2


def test_a_server_that_hangs(redis_server: RedisServer, log: LogFile) -> None:
    async def scene() -> None:
        desk = Desk(
            redis_store(redis_server, timeout=QUICK),
            timeout=QUICK,
            log=log.log,
            counts=counts(),
            clock=lambda: NOW,
            retry_after=0.0,
        )

        async def works() -> bool:
            return await ask(desk, triplet()) == [DEFERRED]

        await until(works, "the server")
        redis_server.process.signal(signal.SIGSTOP)
        try:
            # Not by the server: that says nothing until it goes on.
            assert await ask(desk, triplet(), triplet()) == [None, None]
        finally:
            redis_server.process.signal(signal.SIGCONT)
        await until(works, "the server after its pause")
        await desk.close()

    asyncio.run(scene())


def test_a_server_without_memory(redis_server: RedisServer) -> None:
    async def scene() -> None:
        store = redis_store(redis_server)
        await store.judge([Question(triplet())], NOW)
        limit_memory("1")
        with pytest.raises(StoreError, match="maxmemory"):
            await store.judge([Question(triplet("new@example.org"))], NOW)
        limit_memory("0")
        assert await store.judge([Question(triplet("new@example.org"))], NOW) == [DEFERRED]
        await store.close()

    def limit_memory(octets: str) -> None:
        with client(redis_server) as connection:
            connection.config_set("maxmemory", octets)

    asyncio.run(scene())


def test_a_server_that_has_forgotten_the_script(redis_server: RedisServer) -> None:
    async def scene() -> None:
        store = redis_store(redis_server)
        questions = [Question(triplet(f"s{n}@example.org")) for n in range(5)]
        assert await store.judge(questions, NOW) == [DEFERRED] * 5
        forget_scripts()
        assert [each.outcome for each in await store.judge(questions, NOW + 300)] == [Outcome.DELAYED] * 5
        await store.close()

    def forget_scripts() -> None:
        with client(redis_server) as connection:
            connection.script_flush()

    asyncio.run(scene())


@pytest.mark.parametrize("url", ["redis://127.0.0.1:{port}/0", "unix:///nonexistent/redis.sock"])
def test_no_server(url: str) -> None:
    async def scene() -> None:
        store = RedisStore(url.format(port=free_port()), RULES, QUICK)
        for call in (
            store.judge([Question(triplet())], NOW),
            store.size(),
            store.stats(),
            store.pin("x", NOW),
        ):
            with pytest.raises(StoreError):
                await call
        await store.close()

    asyncio.run(scene())


def test_a_database_that_does_not_exist(shared_redis: RedisServer) -> None:
    async def scene() -> None:
        store = RedisStore(shared_redis.url.replace("db=3", "db=99"), RULES, PATIENCE)
        with pytest.raises(StoreError, match="out of range"):
            await store.judge([Question(triplet())], NOW)
        await store.close()

    asyncio.run(scene())


def test_the_server_forgets_by_itself(shared_redis: RedisServer) -> None:
    async def scene() -> None:
        store = redis_store(shared_redis)
        await store.forget(Search())
        questions = [
            Question(triplet(origin="10.9.8.0/24")),
            Question(triplet("b@example.org", origin="10.9.8.0/24")),
        ]
        await store.judge(questions, NOW)
        await store.judge(questions[:1], NOW + 300)
        await store.pin("spf:example.org", NOW)
        assert lifetimes() == {
            "{10.9.8.0/24}": 35 * DAY,
            "{10.9.8.0/24}\x1falice@example.org\x1fbob@example.net": 35 * DAY,
            "{10.9.8.0/24}\x1fb@example.org\x1fbob@example.net": 2 * DAY,
            "{spf:example.org}": -1,
        }
        await store.close()

    def lifetimes() -> dict[str, float]:
        with client(shared_redis) as connection:
            return {
                key.decode().removeprefix(PREFIX): round(connection.ttl(key), -1)
                if connection.ttl(key) > 0
                else -1
                for key in connection.scan_iter(f"{PREFIX}*")
            }

    asyncio.run(scene())


def test_two_hosts_share_what_they_know(shared_redis: RedisServer) -> None:
    async def scene() -> None:
        one, other = redis_store(shared_redis), redis_store(shared_redis)
        await one.forget(Search())
        assert await one.judge([Question(triplet())], NOW) == [DEFERRED]
        assert await other.judge([Question(triplet())], NOW + 301) == [Decision(Outcome.DELAYED, 301)]
        await one.close()
        await other.close()

    asyncio.run(scene())


STRANGE: dict[str, dict[Any, Any]] = {
    "{a}\x1fb\x1fc": {"first": "soon", "last": "1", "passed": "1"},
    "{a}\x1fb\x1fd": {"first": "nan", "last": "1", "passed": "0"},
    "{a}\x1fb": {"first": "1", "last": "1", "passed": "1"},
    "{a}\x1fb\x1fe\x1ff": {"first": "1", "last": "1", "passed": "1"},
    "{a}": {"deliveries": "many", "counted": "1", "last": "1"},
    "{b}": {"deliveries": "1", "counted": "1", "last": "inf"},
}
"""What we would not have written, by key."""


def test_what_others_have_put_there_is_passed_over(redis_server: RedisServer) -> None:
    async def scene() -> None:
        store = redis_store(redis_server)
        await store.judge([Question(triplet())], NOW)
        with client(redis_server) as connection:
            for key, fields in STRANGE.items():
                connection.hset(PREFIX + key, mapping=fields)
            connection.set(f"{PREFIX}{{c}}\x1fd\x1fe", "text")
            connection.set(f"{PREFIX}{{c}}", "text")
        assert [entry.triplet for entry in (await store.entries(Search(), 100)).entries] == [triplet()]
        assert (await store.origins(Search(), 100)).origins == []
        assert (await store.stats()).waiting == 1
        await store.close()

    asyncio.run(scene())


def test_a_time_that_is_none_is_a_fault_of_the_store(redis_server: RedisServer) -> None:
    async def scene() -> None:
        store = redis_store(redis_server)
        await store.judge([Question(triplet())], NOW)
        with client(redis_server) as connection:
            [key] = connection.scan_iter(f"{PREFIX}*\x1f*")
            connection.hset(key, "first", "nan")
        with pytest.raises(StoreError, match="an answer that is none"):
            await store.judge([Question(triplet())], NOW + 10)
        await store.close()

    asyncio.run(scene())


def test_a_server_by_tls_has_to_show_its_name() -> None:
    async def scene() -> None:
        store = RedisStore("rediss://redis.example.nl:6380/1", RULES, 1.0)
        options = store._client.connection_pool.connection_kwargs
        assert options["ssl_check_hostname"] is True
        assert options.get("ssl_cert_reqs", "required") == "required"
        await store.close()

    asyncio.run(scene())


def test_the_harness_kills_for_real(redis_server: RedisServer) -> None:
    redis_server.process.signal(signal.SIGKILL)
    redis_server.process.wait()
    with client(redis_server) as connection, pytest.raises(RedisConnectionError):
        connection.ping()
