"""What the greylist stands on breaks while mail comes in: nobody is refused, and no promise is broken."""

from __future__ import annotations

import signal
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psutil
import pytest

from tests.e2e.greylist_site import GREYLISTED, Host, Strangers
from tests.e2e.support import Traffic, nothing_lost
from tests.harness.disk import Disk
from tests.harness.redis_server import RedisServer
from tests.harness.smtp import RefusedError
from tests.harness.waiting import wait_for
from tests.unit.docs.fault_table import shows

NEVER_BY_NETWORK = {"auto_allow": 0}
"""Everybody here comes from one network: without this all would pass after some deliveries."""


@contextmanager
def mail_for(host: Host) -> Iterator[Strangers]:
    """Mail that flows; at the end nobody was told anything but to wait, and no longer than at first."""
    strangers = Strangers(host)
    traffic = Traffic(strangers.send, clients=12, pause=0.2)
    with traffic:
        greylists(strangers)
        yield strangers
    nothing_lost(host.postfix, traffic)
    assert [text for text in traffic.put_off if not GREYLISTED.match(text)] == []
    strangers.kept_promises()


def greylists(strangers: Strangers) -> None:
    """Wait until some that are new are told to wait."""
    before = len(strangers.waits)
    wait_for(lambda: len(strangers.waits) >= before + 6, "mail that is greylisted")


def store_errors(host: Host) -> float:
    """How often the store has failed."""
    return host.daemon.metrics()['gatepost_greylist_store_errors_total{daemon="greylist"}']


def passes_unasked(host: Host) -> Callable[[], bool]:
    """A condition: 20 more requests were let through for want of a store."""
    before = host.outcomes().get("store_error", 0)
    return lambda: host.outcomes().get("store_error", 0) >= before + 20


def workers(host: Host) -> list[psutil.Process]:
    """The worker processes."""
    return psutil.Process(host.daemon.process.pid).children()


def test_redis_is_killed_and_comes_back(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="gatepost-") as place, RedisServer(Path(place)) as redis:
        with (
            Host(tmp_path, {**NEVER_BY_NETWORK, "store": redis.url}) as host,
            mail_for(host) as strangers,
        ):
            redis.process.signal(signal.SIGKILL)
            redis.process.wait()
            wait_for(passes_unasked(host), "mail that passes without a store")
            redis.start()
            greylists(strangers)
        told = host.daemon.log()
    assert told.count("the greylist's store does not work: mail passes meanwhile") == 1
    assert told.count("the greylist's store works again") == 1
    shows("Redis is killed", told)


def test_the_disk_is_full(tmp_path: Path) -> None:
    with Disk(tmp_path / "disk") as disk:
        store = str(disk.place / "greylist.sqlite")
        with (
            Host(tmp_path / "site", {**NEVER_BY_NETWORK, "store": store}) as host,
            mail_for(host) as strangers,
        ):
            disk.fill([each.pid for each in workers(host)])
            wait_for(passes_unasked(host), "mail that passes without a store")
            disk.make_room()
            greylists(strangers)
            assert store_errors(host)
            shows("The disk with the greylist is full", host.daemon.log())


def test_the_file_is_broken_at_the_start(tmp_path: Path) -> None:
    store = tmp_path / "greylist.sqlite"
    with Host(tmp_path, NEVER_BY_NETWORK) as host:
        for number in range(50):
            host.put_off(Strangers.sender(number), "bert@example.nl")
        assert host.daemon.stop() == 0
        octets = store.read_bytes()
        store.write_bytes(octets[: len(octets) // 2])
        host.daemon.start()
        with mail_for(host):
            pass
        [kept] = tmp_path.glob("greylist.sqlite.broken-*")
        assert host.daemon.log().count(f"kept_as={kept}") == 1
        shows("The greylist's file is broken", host.daemon.log())


def test_the_file_is_deleted(tmp_path: Path) -> None:
    store = tmp_path / "greylist.sqlite"
    with Host(tmp_path, {**NEVER_BY_NETWORK, "delay": 600}) as host:
        host.put_off("a@newcomer.example", "bert@example.nl")
        for file in tmp_path.glob(f"{store.name}*"):
            file.unlink()

        def told_anew() -> int:
            seconds = host.put_off("a@newcomer.example", "bert@example.nl")
            return seconds if store.exists() else 0

        seconds = wait_for(told_anew, "another file")
        reply = f"4.2.0 : Greylisted, please try again in {seconds} seconds"
        shows("The greylist's file is deleted", host.daemon.log(), [reply])


def test_the_file_is_locked(tmp_path: Path) -> None:
    with Host(tmp_path, NEVER_BY_NETWORK) as host, mail_for(host) as strangers:
        with closing(sqlite3.connect(tmp_path / "greylist.sqlite", timeout=5, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            wait_for(passes_unasked(host), "mail that passes without a store")
            other.execute("ROLLBACK")
        greylists(strangers)
        shows("The greylist's file is locked", host.daemon.log())


def test_workers_are_killed(tmp_path: Path) -> None:
    """Both of two workers die, one after the other: the other one answers, and nothing that was written is lost."""
    with Host(tmp_path, {**NEVER_BY_NETWORK, "workers": 2}) as host, mail_for(host) as strangers:
        for victim in workers(host):
            victim.kill()
            wait_for(lambda: len({*workers(host)} - {victim}) == 2, "a new worker")  # noqa: B023
            greylists(strangers)
    assert not list(tmp_path.glob("*.broken-*"))


def test_everything_is_killed(tmp_path: Path) -> None:
    """The daemon with all its workers dies and is started again: Postfix puts mail off meanwhile, and no more."""
    with Host(tmp_path, {**NEVER_BY_NETWORK, "delay": 600}) as host:
        first = host.put_off("a@newcomer.example", "bert@example.nl")
        for each in [*workers(host), psutil.Process(host.daemon.process.pid)]:
            each.kill()
        host.daemon.process.wait()
        with pytest.raises(RefusedError) as refused:
            host.send("b@newcomer.example", "bert@example.nl")
        host.daemon.stop()
        host.daemon.start()
        assert host.put_off("a@newcomer.example", "bert@example.nl") <= first
        known = host.command("show")["entries"]
        reply = refused.value.reply
        shows(
            "A policy service is killed with all its processes",
            host.daemon.log(),
            [f"{reply.code} {reply.text}"],
        )
    assert [entry["sender"] for entry in known] == ["a@newcomer.example"]
