"""How a daemon leaves: what becomes of sessions that are open then, and how the next one takes its place."""

from __future__ import annotations

import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from gatepost.service.descriptors import raise_limit
from milters.server import IDLE_GRACE
from tests.e2e.mx import DAEMON, Mx
from tests.e2e.support import FRIEND, Traffic, message, nothing_lost, zone_of
from tests.e2e.test_lifecycle import restarting
from tests.harness.daemon import Daemon, Installation
from tests.harness.keys import rsa_key
from tests.harness.milter_client import Mail, MilterClient
from tests.harness.ports import LOOPBACK
from tests.harness.smtp import STRANGER, Reply, Session, deliver
from tests.harness.waiting import PATIENCE, wait_for
from tests.unit.docs.fault_table import shows


def opened(port: int, daemon: Daemon) -> Session:
    """An SMTP session whose client has greeted, and whose smtpd has its milter."""
    session = Session(port)
    session.become(STRANGER)
    wait_for(
        lambda: any(
            name.startswith("gatepost_connections") and value for name, value in daemon.metrics().items()
        ),
        "the connection of the smtpd",
    )
    return session


def told(session: Session, octets: bytes) -> tuple[Reply, ...]:
    """All replies to one message."""
    commands = (f"MAIL FROM:<{FRIEND}>", "RCPT TO:<open@example.nl>")
    return (*(session.command(command) for command in commands), session.message(octets))


def test_a_silent_session_is_put_off(tmp_path: Path) -> None:
    """Postfix keeps the envelope to itself until DATA, so no milter can tell that a message is about to come."""
    with Mx(tmp_path) as mx, opened(mx.postfix.port("mx"), mx.daemon) as session:
        assert mx.daemon.stop() == 0
        *envelope, end = told(session, mx.mail)
        assert [reply.code for reply in envelope] == [250, 250]
        reply = f"{end.code} {end.text}"
        shows("A stop while an SMTP session is silent", mx.daemon.log(), [reply])
        assert end.code == 451
        mx.daemon.start()
        mx.send("again")
        assert "dkim=pass" in mx.result("again")


def test_a_silent_session_has_some_seconds_where_systemd_keeps_the_socket(tmp_path: Path) -> None:
    with restarting(tmp_path, True) as server, ExitStack() as running:
        old = running.enter_context(server.daemon(0))
        session = running.enter_context(opened(server.postfix.port("mx"), old))
        old.process.signal(signal.SIGTERM)
        time.sleep(2 * IDLE_GRACE)  # what it is allowed otherwise
        with ThreadPoolExecutor(1) as pool:
            # Another session meanwhile waits in the listen queue, and notices nothing.
            other = pool.submit(server.send, 1)
            assert told(session, server.mail)[-1].code == 250
            session.quit()
            assert old.process.wait() == 0
            log = old.log()
            old.stop()
            running.enter_context(server.daemon(1))
            assert other.result(PATIENCE).positive
        server.postfix.wait_for_delivery("open@example.nl")
        shows("The same, where systemd keeps the socket", log)


def test_a_successor_can_bind_while_the_last_message_is_finished(tmp_path: Path) -> None:
    """Without systemd: the address is free as soon as the old one no longer takes connections."""
    slow = rsa_key("slow.example.org")
    with restarting(tmp_path, False) as server, ThreadPoolExecutor(1) as pool, ExitStack() as running:
        server.dns.zone = {**zone_of([server.key]), slow.name: [{"TXT": slow.record}, "HELD"]}
        signed = slow.sign(message("a@slow.example.org", "bert@example.nl"))
        port = server.postfix.port("mx")
        old, new = running.enter_context(server.daemon(0)), server.daemon(1)
        last = pool.submit(deliver, port, signed, FRIEND, ["slow@example.nl"], client=STRANGER)
        wait_for(lambda: server.dns.count(slow.name), "the question for the slow key")
        with Traffic(server.send) as traffic:
            traffic.more(5)
            old.process.signal(signal.SIGTERM)
            wait_for(lambda: traffic.put_off, "mail that is put off")
            running.enter_context(new)
            traffic.more(10)
            assert old.process.status is None
            server.dns.release()
            assert last.result(PATIENCE).positive
        assert old.process.wait() == 0
        nothing_lost(server.postfix, traffic)
        server.postfix.wait_for_delivery("slow@example.nl")
        shows("An upgrade without systemd", old.log(), traffic.put_off)


@pytest.mark.parametrize("family", ["unix", "inet"])
def test_libmilter_ends_as_fast(tmp_path: Path, family: str) -> None:
    path = tmp_path / "socket"
    section = {"engine": "libmilter", "seal": False}
    if family == "unix":
        section["socket"] = f"unix:{path}"
    with Installation(tmp_path, {DAEMON: section}) as gatepost:
        daemon = gatepost[DAEMON]
        with MilterClient(str(path) if family == "unix" else (LOOPBACK, daemon.port)) as client:
            client.send(Mail([(b"From", b" a@example.org")], b"x\r\n"))
        began = time.monotonic()
        assert daemon.stop() == 0
        assert time.monotonic() - began < 4.5  # libmilter by itself takes five seconds


def test_a_listen_queue_that_is_full(tmp_path: Path) -> None:
    """Postfix tries again by itself for half a minute; once there is room, the mail goes on."""
    with Mx(tmp_path) as mx, ThreadPoolExecutor(1) as pool, ExitStack() as crowd:
        [worker] = mx.workers()
        raise_limit()  # our own, of descriptors
        worker.suspend()
        try:
            waiting = 0
            while waiting < 5000:
                peer = crowd.enter_context(socket.socket())
                peer.setblocking(False)
                peer.connect_ex((LOOPBACK, mx.daemon.port))
                waiting += 1
                if waiting > 1000 and not _connected(peer):
                    break
            attempt = pool.submit(mx.send, "queued")
            time.sleep(1)
            assert not attempt.done()
        finally:
            worker.resume()
        crowd.close()
        assert attempt.result(PATIENCE).positive
        assert "dkim=pass" in mx.result("queued")
        shows("The listen queue is full", mx.daemon.log())


def _connected(peer: socket.socket) -> bool:
    try:
        peer.getpeername()
    except OSError:
        return False
    return True
