"""How many greylist decisions a second a store gives with a million triplets, and the slowest while they expire.

    script/bench greylist [--store sqlite|redis] [--triplets 1000000] [--clients 32] [--seconds 10]

Fills the store, then asks through the desk as connections do: each client has
one request under way. Half of the triplets expire meanwhile. Of the requests
a half is known, a quarter new and a quarter comes again too early. A Redis is
started for it, in a directory of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sqlite3
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import redis
import uvloop

from bench.load import quantile
from bench.ours import as_by_default
from bench.result import duration
from gatepost.log import Logger
from gatepost.metrics import Metrics
from policy.greylisting.counts import Counts
from policy.greylisting.decision import Rules, TripletRecord
from policy.greylisting.desk import Desk
from policy.greylisting.key import Triplet
from policy.greylisting.redis_store import PREFIX, RedisStore
from policy.greylisting.sqlite_file import open_file
from policy.greylisting.sqlite_store import SqliteStore
from policy.greylisting.store import Question, Store
from tests.harness.redis_server import RedisServer

DAY = 86_400.0
RULES = Rules(300, 2 * DAY, 35 * DAY, 5, 3600)


def key(number: int) -> Triplet:
    # Scattered, as real keys are.
    spread = number * 2_654_435_761 & 0xFFFFFF
    origin = f"{10 + (spread >> 16)}.{spread >> 8 & 255}.{spread & 255}.0/24"
    return Triplet(
        origin, f"sender-{number}@company{spread % 5000}.example", f"user{spread % 300}@example.net"
    )


def record(number: int, now: float) -> TripletRecord:
    """Every other triplet has expired."""
    if number % 2:
        return TripletRecord(now - 3 * DAY, now - 3 * DAY, False)
    return TripletRecord(now - 10 * DAY, now - random.random() * 5 * DAY, True)


def fill_sqlite(path: Path, triplets: int, now: float) -> None:
    connection = open_file(path, make=True)
    connection.execute("PRAGMA cache_size=-200000")
    connection.execute("BEGIN")
    rows = sorted((*key(n), *record(n, now), record(n, now).expires(RULES)) for n in range(triplets))
    connection.executemany("INSERT OR REPLACE INTO triplet VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
    connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def fill_redis(url: str, triplets: int, now: float) -> None:
    with redis.Redis.from_url(url) as client:
        for start in range(0, triplets, 5000):
            pipeline = client.pipeline(transaction=False)
            for number in range(start, min(start + 5000, triplets)):
                origin, sender, recipient = key(number)
                name = f"{PREFIX}{{{origin}}}\x1f{sender}\x1f{recipient}"
                first, last, passed = record(number, now)
                pipeline.hset(name, mapping={"first": first, "last": last, "passed": int(passed)})
                # What has expired goes within the next seconds.
                pipeline.pexpire(name, random.randrange(20_000, 60_000) if number % 2 else 30 * 86_400_000)
            pipeline.execute()


async def measure(store: Store, triplets: int, clients: int, seconds: float) -> None:
    metrics = Metrics("bench")
    desk = Desk(store, timeout=5, log=Logger(level="warning"), counts=Counts(metrics))
    times: list[float] = []
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    unanswered = 0

    async def client(number: int) -> None:
        nonlocal unanswered
        chosen = random.Random(number)
        new = 0
        while loop.time() < end:
            kind = chosen.random()
            if kind < 0.5:
                triplet = key(chosen.randrange(triplets // 2) * 2)
            elif kind < 0.75 or not new:
                new += 1
                triplet = key(triplets + number * 10_000_000 + new)
            else:
                triplet = key(triplets + number * 10_000_000 + chosen.randrange(new) + 1)
            started = time.perf_counter()
            unanswered += await desk.judge(Question(triplet)) is None
            times.append(time.perf_counter() - started)

    before = await store.size()
    cpu = time.process_time()
    await asyncio.gather(*(client(number) for number in range(clients)))
    cpu = time.process_time() - cpu
    after = await store.size()
    await desk.close()
    times.sort()
    count = len(times)
    print(f"{count / seconds:.0f} requests/s, {duration(cpu / count)} of CPU each, {clients} clients")
    shown = (("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999), ("slowest", 1.0))
    print(", ".join(f"{name} {duration(quantile(times, part))}" for name, part in shown))
    print(f"{before} entries before, {after} after, {unanswered} requests without a store")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", choices=["sqlite", "redis"], default="sqlite")
    parser.add_argument("--triplets", type=int, default=1_000_000)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=10)
    options = parser.parse_args()
    now = time.time()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gatepost-")))
        if options.store == "sqlite":
            path = directory / "greylist.sqlite"
            fill_sqlite(path, options.triplets, now)
            size = path.stat().st_size
            with sqlite3.connect(path) as connection:
                version = sqlite3.sqlite_version
            connection.close()
            print(f"SQLite {version}: {options.triplets} triplets, {size / options.triplets:.0f} octets each")

            def make() -> Store:
                return SqliteStore(path, RULES, Logger(level="warning"))
        else:
            server = RedisServer(directory)
            as_by_default(server)
            url = stack.enter_context(server).url
            fill_redis(url, options.triplets, now)
            with redis.Redis.from_url(url) as client:
                memory = client.info("memory")["used_memory"]
            print(f"Redis: {options.triplets} triplets, {memory / options.triplets:.0f} octets each")

            def make() -> Store:
                return RedisStore(url, RULES, 5.0)

        async def run() -> None:
            await measure(make(), options.triplets, options.clients, options.seconds)

        uvloop.run(run())


if __name__ == "__main__":
    main()
