"""Workers killed, daemons restarted, configurations reloaded, all while mail comes in: no mail is lost or refused."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from milters.server import IDLE_GRACE
from tests.e2e.mx import DAEMON, PATIENT, Mx, activate, holding
from tests.e2e.support import FRIEND, RESULTS, Traffic, message, nothing_lost, zone_of
from tests.harness.daemon import Daemon, Installation
from tests.harness.dns_server import DnsServer
from tests.harness.keys import rsa_key
from tests.harness.ports import LOOPBACK, free_port
from tests.harness.postfix import Postfix, Smtpd
from tests.harness.smtp import STRANGER, RefusedError, Reply, Session, deliver
from tests.harness.waiting import PATIENCE, wait_for
from tests.unit.docs.fault_table import shows


def test_a_worker_killed_while_idle_is_not_missed(tmp_path: Path) -> None:
    with Mx(tmp_path, {"workers": 2}) as mx:
        before = mx.workers()
        for worker in before:
            worker.kill()
            # Its successor comes in a moment; the socket is there all the time.
            mx.send(worker.pid)
            assert "dkim=pass" in mx.result(str(worker.pid))
        wait_for(lambda: len({*mx.workers()} - {*before}) == 2, "two new workers")
        died = mx.said("a worker died; starting another")
    assert len(died) == 2
    shows("A worker is killed while nothing is under way", "\n".join(died))


def test_a_worker_killed_in_mid_message_costs_that_message_one_try(tmp_path: Path) -> None:
    slow = rsa_key("slow.example.org")
    with Mx(tmp_path, {"workers": 2}, common={"dns": PATIENT}) as mx, ThreadPoolExecutor(1) as pool:
        mx.dns.zone = {**zone_of([mx.key]), slow.name: [{"TXT": slow.record}, "HELD"]}
        signed = slow.sign(message("a@slow.example.org", "bert@example.nl"))
        attempt = pool.submit(mx.send, "slow", signed)
        wait_for(lambda: mx.dns.count(slow.name), "the question for the slow key")
        [busy] = [worker for worker in mx.workers() if holding(worker, mx.daemon.port)]
        with Traffic(mx.send) as traffic:
            traffic.more(5)
            busy.kill()
            with pytest.raises(RefusedError, match="END: 451") as refused:
                attempt.result(PATIENCE)
            traffic.more(20)
            # The second try.
            mx.dns.zone = zone_of([mx.key, slow])
            mx.send("slow", signed)
        assert "dkim=pass" in mx.result("slow")
        mx.all_is_well(traffic)
        assert len(mx.said("signal=SIGKILL")) == 1
        replies = [refused.value.reply.text, *traffic.put_off]
        shows("A worker is killed in the middle of a message", mx.daemon.log(), replies)
        wait_for(lambda: len(mx.workers()) == 2, "the second worker")


def test_workers_killed_again_and_again_under_load(tmp_path: Path) -> None:
    with Mx(tmp_path, {"workers": 2}) as mx:
        supervisor = mx.daemon.process.pid
        with Traffic(mx.send) as traffic:
            for _ in range(4):
                traffic.more(5)
                wait_for(mx.workers, "a worker")[0].kill()
            traffic.more(20)
        mx.all_is_well(traffic)
        assert mx.daemon.process.pid == supervisor
        assert len(mx.said("a worker died; starting another")) == 4
        shows("Workers are killed again and again", mx.daemon.log(), traffic.put_off)


def test_a_session_whose_worker_is_gone_ends_in_a_temporary_failure(tmp_path: Path) -> None:
    with Mx(tmp_path) as mx:
        with Session(mx.postfix.port("mx")) as session:
            session.become(STRANGER)
            wait_for(lambda: mx.open_connections() >= 1, "the connection of the smtpd")
            mx.workers()[0].kill()
            wait_for(lambda: mx.said("a worker died"), "its death in the log")
            with pytest.raises(RefusedError, match=": 451"):
                session.send(mx.mail, FRIEND, ["again@example.nl"])
        mx.send("again")
        assert "dkim=pass" in mx.result("again")


class Restarting:
    """A Postfix and a daemon that is replaced by another while mail comes in; with or without systemd's socket."""

    def __init__(self, directory: Path, activated: bool) -> None:
        self.key = rsa_key("example.org")
        self.mail = self.key.sign(message(FRIEND, "undisclosed-recipients:;"))
        self.dns = DnsServer(zone_of([self.key]))
        port = free_port()
        self.listener = socket.create_server((LOOPBACK, port))
        self.postfix = Postfix([Smtpd(name="mx", milters=[f"inet:{LOOPBACK}:{port}"])])
        self._section = {"socket": f"inet:{port}@{LOOPBACK}", "seal": False, "workers": 2}
        self._directory = directory
        self._activated = activated
        if not activated:
            self.listener.close()

    def daemon(self, number: int) -> Daemon:
        """Another instance, not yet started."""
        installation = Installation(
            self._directory / str(number),
            {DAEMON: self._section},
            {"dns": {"nameservers": [self.dns.address], **PATIENT}},
        )
        if self._activated:
            activate(installation[DAEMON], self.listener)
        return installation[DAEMON]

    def send(self, number: int) -> Reply:
        return deliver(self.postfix.port("mx"), self.mail, FRIEND, [f"{number}@example.nl"], client=STRANGER)


@contextmanager
def restarting(directory: Path, activated: bool) -> Iterator[Restarting]:
    restarting = Restarting(directory, activated)
    with ExitStack() as running:
        running.enter_context(restarting.listener)
        running.enter_context(restarting.dns)
        running.enter_context(restarting.postfix)
        yield restarting


@pytest.mark.parametrize("activated", [True, False])
def test_a_restart_under_load(tmp_path: Path, activated: bool) -> None:
    """With systemd's socket nobody notices; without, a client may be asked to come again."""
    with restarting(tmp_path, activated) as server:
        daemon = server.daemon(0).start()
        try:
            with Traffic(server.send) as traffic:
                for number in range(1, 4):
                    traffic.more(10)
                    assert daemon.stop() == 0
                    log = daemon.log()
                    assert log.splitlines()[-1].endswith("stopped")
                    daemon = server.daemon(number).start()
                    assert ("took a socket from systemd" in daemon.log()) is activated
                traffic.more(10)
        finally:
            daemon.stop()
        delivered = nothing_lost(server.postfix, traffic)
        assert all("dkim=pass" in delivery.values(RESULTS)[0] for delivery in delivered)
        if activated:
            assert not traffic.put_off
        shows(
            "A restart under load, where systemd keeps the socket"
            if activated
            else "A restart under load, without systemd",
            log,
            traffic.put_off,
        )


def test_the_next_instance_may_serve_before_the_last_one_has_left(tmp_path: Path) -> None:
    """One that drains a slow message no longer takes new ones: they go to its successor, and both end well."""
    slow = rsa_key("slow.example.org")
    with restarting(tmp_path, True) as server, ThreadPoolExecutor(1) as pool:
        server.dns.zone = {**zone_of([server.key]), slow.name: [{"TXT": slow.record}, "HELD"]}
        signed = slow.sign(message("a@slow.example.org", "bert@example.nl"))
        port = server.postfix.port("mx")
        old, new = server.daemon(0), server.daemon(1)
        with old, ExitStack() as running:
            last = pool.submit(deliver, port, signed, FRIEND, ["slow@example.nl"], client=STRANGER)
            wait_for(lambda: server.dns.count(slow.name), "the question for the slow key")
            old.process.signal(signal.SIGTERM)
            running.enter_context(new)
            with Traffic(server.send) as traffic:
                traffic.more(20)
                assert old.process.status is None
                server.dns.release()
                assert last.result(PATIENCE).positive
            assert old.process.wait() == 0
            nothing_lost(server.postfix, traffic)
            [delivery] = server.postfix.wait_for_delivery("slow@example.nl")
        assert "dkim=pass" in delivery.values(RESULTS)[0]
        assert not traffic.put_off
        shows("An upgrade where systemd keeps the socket", old.log())


@pytest.mark.parametrize("engine", ["asyncio", "libmilter"])
def test_a_session_from_before_a_reload_goes_on(tmp_path: Path, engine: str) -> None:
    """However long the client takes between its commands: the old worker is not needed elsewhere."""
    with Mx(tmp_path, {"engine": engine}) as mx:
        [old] = mx.workers()
        with Session(mx.postfix.port("mx")) as session:
            session.become(STRANGER)
            wait_for(lambda: mx.open_connections() >= 1, "the connection of the smtpd")
            mx.gatepost.configure({DAEMON: {"engine": engine, "seal": True}})
            mx.daemon.reload()
            time.sleep(2 * IDLE_GRACE)  # what a connection without a message is allowed when the daemon stops
            assert session.send(mx.mail, FRIEND, ["before@example.nl"]).positive
        assert "gatepost-seal" not in mx.result("before")  # the old worker has had it
        wait_for(lambda: old.pid not in {worker.pid for worker in mx.workers()}, "the end of the old worker")


def test_reloads_under_load(tmp_path: Path) -> None:
    with Mx(tmp_path, {"workers": 2}) as mx:
        good = mx.gatepost.file.read_text()
        with Traffic(mx.send) as traffic:
            for number, sealed in enumerate([True, False, True]):
                traffic.more(10)
                mx.gatepost.configure({DAEMON: {"seal": sealed, "workers": 1 + number}})
                mx.daemon.reload()
                mx.send(f"reloaded{number}")
                assert ("gatepost-seal" in mx.result(f"reloaded{number}")) is sealed
            # Those of earlier configurations may still have something to finish.
            workers = wait_for(lambda: found if len(found := mx.workers()) == 3 else [], "the last workers")
            for broken in (
                good.replace("authserv_id", "authservid"),
                "daemons: [",
                "",
                good.replace("inet:", "inet:x"),
            ):
                mx.gatepost.file.write_text(broken)
                mx.daemon.reload()
                traffic.more(5)
            mx.gatepost.file.unlink()
            mx.daemon.reload()
            traffic.more(5)
        mx.all_is_well(traffic)
        assert not traffic.put_off
        assert len(mx.said("reloaded workers=")) == 3
        assert len(mx.said("not reloaded: the old configuration stays in force")) == 5
        shows("A reload under load", mx.daemon.log())
        shows("A reload under load, of a broken file", mx.daemon.log())
        assert mx.said("authservid")
        assert mx.workers() == workers
