"""Everything around the daemon breaks while mail comes in: the DNS, its peers, its log, its descriptors."""

from __future__ import annotations

import fcntl
import os
import random
import re
import select
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from milters import mfdef
from tests.e2e.mx import PATIENT, Mx
from tests.e2e.support import FRIEND, Traffic, message, zone_of
from tests.harness.dns_server import DnsServer
from tests.harness.keys import rsa_key
from tests.harness.mail import parse
from tests.harness.milter_client import Mail, MilterClient, offer, packet
from tests.harness.ports import LOOPBACK, free_port
from tests.harness.smtp import STRANGER, RefusedError, Session, stuffed
from tests.harness.waiting import wait_for
from tests.unit.docs.fault_table import shows

TROUBLE = ("SERVFAIL", "REFUSED", "TIMEOUT", "GARBAGE", "NOISE", "CUT_TCP")
MESSAGE_TIMEOUT = 1.5
MORE = 8.0
"""Seconds that a mail takes on a busy machine beside them."""


@pytest.fixture(scope="module")
def troubled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mx]:
    """A server whose DNS is in trouble of every kind, by the sender's domain."""
    dns = {"timeout": "1s", "message_timeout": f"{MESSAGE_TIMEOUT}s", "message_queries": 20}
    mx = Mx(tmp_path_factory.mktemp("troubled"), common={"dns": dns})
    with mx:
        yield mx


def asks(mx: Mx, trouble: str) -> tuple[float, bytes]:
    """Let the key of a sender be in *trouble*; returns when that was, and the sender's mail."""
    key = rsa_key(f"{trouble.lower().replace('_', '-')}.example.org", bits=1024)
    answer = ["TRUNCATE", "CUT_TCP"] if trouble == "CUT_TCP" else [trouble]
    mx.dns.zone = {**zone_of([mx.key]), key.name: [{"TXT": key.record}, *answer]}
    return time.monotonic(), key.sign(message(f"a@{key.domain}", "bert@example.nl"))


@pytest.mark.parametrize("trouble", TROUBLE)
def test_dns_in_trouble_is_a_temporary_error_in_time(troubled: Mx, trouble: str) -> None:
    began, signed = asks(troubled, trouble)
    troubled.send(trouble, signed)
    assert time.monotonic() - began < MESSAGE_TIMEOUT + MORE
    assert "dkim=temperror" in troubled.result(trouble)
    domain = f"{trouble.lower().replace('_', '-')}.example.org"
    assert [line for line in troubled.said(f"temperror:{domain}") if "action=" not in line]
    shows("The DNS fails in any way", troubled.daemon.log())


def test_ten_signatures_with_silent_keys_take_no_longer_than_one(troubled: Mx) -> None:
    keys = [rsa_key("silent.example.org", f"s{number}", bits=1024) for number in range(10)]
    troubled.dns.zone = {key.name: ["TIMEOUT"] for key in keys}
    signed = message("a@silent.example.org", "bert@example.nl")
    for key in keys:
        signed = key.sign(signed)
    began = time.monotonic()
    troubled.send("ten", signed)
    assert time.monotonic() - began < MESSAGE_TIMEOUT + MORE
    assert troubled.result("ten").count("dkim=temperror") == 10


def test_a_dns_server_that_is_gone_and_comes_back(tmp_path: Path) -> None:
    """With on_temperror: tempfail, mail waits for the DNS instead of going on unverified."""
    port = free_port()
    options = {"dns": {"nameservers": [f"{LOOPBACK}:{port}"], "timeout": "2s"}}
    with Mx(tmp_path, {"on_temperror": "tempfail"}, common=options) as mx:
        began = time.monotonic()
        with pytest.raises(RefusedError, match=r"END: 451 .*DKIM key lookup failed") as refused:
            mx.send("gone")
        assert time.monotonic() - began < 2 + MORE
        with DnsServer(zone_of([mx.key]), port=port):
            mx.send("gone")
        assert "dkim=pass" in mx.result("gone")
        # Its key is remembered: the DNS may go again.
        mx.send("remembered")
        assert "dkim=pass" in mx.result("remembered")
        assert len(mx.said("action=tempfail")) == 1
        reply = refused.value.reply.text
        shows("The DNS is gone, with `on_temperror: tempfail`", mx.daemon.log(), [reply])


def rubbish() -> list[bytes]:
    """What has no business on a milter's socket, and what stops in the middle."""
    noise = random.Random(7)
    whole = offer()
    return [
        b"",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"EHLO client.example.org\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + noise.randbytes(500),
        b"\0\0\0\0",
        b"\xff\xff\xff\xff",
        struct.pack("!I", 1 << 30) + b"O",
        noise.randbytes(5000),
        packet(b"O", b""),
        packet(b"O", b"\0" * 5),
        offer(version=1),
        offer() + offer(),
        packet(b"?", b"what"),
        packet(mfdef.SMFIC_BODYEOB) * 3,
        whole[:3],
        whole[:-1],
        whole + packet(mfdef.SMFIC_CONNECT, b"no end"),
        whole + packet(mfdef.SMFIC_HEADER, b"no value"),
        whole + packet(mfdef.SMFIC_MACRO, b"Mhalf"),
        whole + packet(mfdef.SMFIC_MAIL, b"<a@example.org>\0") + noise.randbytes(200),
        whole + struct.pack("!I", 60_000) + b"B" + b"x" * 1000,
    ]


@pytest.mark.parametrize("engine", ["asyncio", "libmilter"])
def test_rubbish_on_the_socket_is_nobody_elses_trouble(tmp_path: Path, engine: str) -> None:
    with Mx(tmp_path, {"engine": engine, "workers": 2 if engine == "asyncio" else 1}) as mx:
        workers = mx.workers()
        with Traffic(mx.send) as traffic, ExitStack() as half_said:
            for octets in rubbish():
                peer = socket.create_connection((LOOPBACK, mx.daemon.port), 5)
                half_said.callback(peer.close)
                peer.sendall(octets)
                # Some go on as if nothing was, some reset, some just stay.
                if len(octets) % 3 == 1:
                    peer.close()
                elif len(octets) % 3 == 2:
                    resets(peer)
                    peer.close()
                traffic.more(1)
            traffic.more(20)
        mx.all_is_well(traffic)
        assert not traffic.put_off
        # libmilter keeps to itself what it thinks of it.
        assert bool(mx.said("not the milter protocol peer=127.0.0.1")) is (engine == "asyncio")
        assert mx.workers() == workers
        wait_for(lambda: mx.open_connections() == 0, "the end of all connections")


STAGES = ("connect", "helo", "mail", "header", "eoh", "body", "eom")


class Gone(Exception):  # noqa: N818
    """The MTA is no more."""


def leave_before(wanted: str, port: int, reset: bool) -> None:
    """Be an MTA that is gone ahead of a stage."""

    def leave(stage: str) -> None:
        if stage == wanted:
            raise Gone

    mail = Mail(headers=[(b"From", b" a@example.org"), (b"Subject", b" x")], body=b"x\r\n" * 50_000)
    with MilterClient((LOOPBACK, port)) as client:
        if reset:
            resets(client.socket)
        with pytest.raises(Gone):
            client.send(mail, before=leave)


def leave_before_the_verdict(octets: bytes, port: int, reset: bool) -> None:
    """Be an MTA that has said everything, and does not stay for the answer."""
    headers, body = parse(octets)
    with MilterClient((LOOPBACK, port)) as client:
        if reset:
            resets(client.socket)
        steps = client.script.steps(Mail(headers=headers, body=body), new_session=True)
        client.raw(b"".join(data for _, data, _ in steps))


def resets(peer: socket.socket) -> None:
    """Let *peer* end in a reset when it is closed."""
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@pytest.mark.parametrize("reset", [True, False])
def test_a_connection_may_end_at_every_point(tmp_path: Path, reset: bool) -> None:
    slow = rsa_key("slow.example.org")
    with Mx(tmp_path, common={"dns": PATIENT}) as mx:
        mx.dns.zone = {**zone_of([mx.key]), slow.name: [{"TXT": slow.record}, "TIMEOUT"]}
        with Traffic(mx.send, clients=2) as traffic:
            for stage in STAGES:
                leave_before(stage, mx.daemon.port, reset)
                traffic.more(2)
            for _ in range(3):
                signed = slow.sign(message("a@slow.example.org", "bert@example.nl"))
                leave_before_the_verdict(signed, mx.daemon.port, reset)
                traffic.more(2)
        mx.all_is_well(traffic)
        assert not traffic.put_off
        wait_for(lambda: mx.open_connections() == 0, "the end of all connections")
        # Nobody waits for these: they are no messages, and no errors either.
        assert len(mx.said(" dkim=")) == len(traffic.accepted)
        assert not mx.said("error")


@pytest.mark.parametrize("stage", ["MAIL", "RCPT", "DATA", "half a message", "RSET"])
def test_a_client_may_vanish_and_the_daemon_forgets_it(lasting: Mx, stage: str) -> None:
    """The MTA aborts the message then, or ends the session."""
    session = Session(lasting.postfix.port("mx"))
    session.become(STRANGER)
    steps: list[Callable[[], object]] = [
        lambda: session.command(f"MAIL FROM:<{FRIEND}>"),
        lambda: session.command("RCPT TO:<vanished@example.nl>"),
        lambda: session.command("DATA"),
        lambda: session.write(stuffed(lasting.mail)[:-8]),
    ]
    if stage == "RSET":
        for step in steps[:2]:
            step()
        session.command("RSET")
        session.send(lasting.mail, FRIEND, ["stayed@example.nl"])
        session.quit()
        assert "dkim=pass" in lasting.result("stayed")
    else:
        for step in steps[: ["MAIL", "RCPT", "DATA", "half a message"].index(stage) + 1]:
            step()
        session.abort()
    wait_for(lambda: lasting.open_connections() == 0, "the end of the connection")
    assert lasting.postfix.deliveries("vanished@example.nl") == []


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mx]:
    with Mx(tmp_path_factory.mktemp("lasting")) as mx:
        yield mx


@pytest.mark.parametrize("stream", ["/dev/full", "&-"])
def test_a_log_that_cannot_be_written_holds_up_no_mail(tmp_path: Path, stream: str) -> None:
    """A full disk, or no standard error at all."""
    with Mx(tmp_path, wrapper=["sh", "-c", f'exec "$@" 2>{stream}', "sh"]) as mx:
        with Traffic(mx.send) as traffic:
            traffic.more(10)
            mx.daemon.reload()
            traffic.more(10)
        mx.all_is_well(traffic)
        assert not traffic.put_off
        assert mx.daemon.log() == ""
        shows("The log cannot be written", "")


def test_a_log_that_is_not_read_loses_lines_and_tells_how_many(tmp_path: Path) -> None:
    fifo = tmp_path / "log"
    os.mkfifo(fifo)
    with open(os.open(fifo, os.O_RDONLY | os.O_NONBLOCK), "rb", buffering=0) as log:
        fcntl.fcntl(log, fcntl.F_SETPIPE_SZ, select.PIPE_BUF)
        with Mx(tmp_path, wrapper=["sh", "-c", f'exec "$@" 2>{fifo}', "sh"]) as mx:
            with Traffic(mx.send) as traffic:
                traffic.more(40)
                read = log.read(2 * select.PIPE_BUF)
                traffic.more(5)
            mx.all_is_well(traffic)
            assert not traffic.put_off
            lines = (read + log.read(2 * select.PIPE_BUF)).splitlines()
    [told] = [line for line in lines if b"log lines were lost" in line]
    lost = int(told.rpartition(b"lines=")[2])
    assert lost + sum(b"dkim=pass" in line for line in lines) == len(traffic.accepted)
    shows("Nobody reads the log", told.decode())


def test_files_that_may_not_grow(tmp_path: Path) -> None:
    """As on a disk that is full from the start: neither log nor metrics, but mail; and the log once there is room."""
    with Mx(tmp_path, wrapper=["prlimit", "--fsize=2000:unlimited"]) as mx:
        with Traffic(mx.send) as traffic:
            traffic.more(30)
            assert len(mx.daemon.log()) == 2000
            for worker in mx.workers():
                worker.rlimit(psutil.RLIMIT_FSIZE, (psutil.RLIM_INFINITY, psutil.RLIM_INFINITY))
            traffic.more(10)
        mx.all_is_well(traffic)
        assert not traffic.put_off
        shows("No file may grow", mx.daemon.log())
        assert len(mx.said("log lines were lost")) == 1
        # The line that was cut does not swallow the next one.
        assert all(re.match(r"20\d\d-\d\d-\d\dT", line) for line in mx.daemon.log().splitlines())


def test_too_few_descriptors_are_waited_for(tmp_path: Path) -> None:
    """Connections beyond what there is wait in the listen queue, and are served once others have ended."""
    with Mx(tmp_path, wrapper=["prlimit", "--nofile=40:40"]) as mx:
        address = (LOOPBACK, mx.daemon.port)
        with Traffic(mx.send, clients=2) as traffic:
            traffic.more(5)
            with ExitStack() as crowd:
                for _ in range(60):
                    crowd.enter_context(MilterClient(address, negotiate=False))
                wait_for(lambda: mx.said("no connection can be accepted"), "the complaint in the log")
            traffic.more(20)
        mx.all_is_well(traffic)
        assert not traffic.put_off
        shows("No descriptors are left", "\n".join(mx.said("no connection can be accepted")))
        wait_for(lambda: mx.open_connections() == 0, "the end of all connections")


def test_the_soft_limit_of_descriptors_is_none(tmp_path: Path) -> None:
    with Mx(tmp_path, wrapper=["prlimit", "--nofile=40:400"]) as mx, ExitStack() as crowd:
        for _ in range(60):
            crowd.enter_context(MilterClient((LOOPBACK, mx.daemon.port)))
        mx.send("after-them")
        assert "dkim=pass" in mx.result("after-them")
        assert mx.daemon.metrics()["process_max_fds"] == 400
        assert not mx.said("no connection can be accepted")


def test_connections_beyond_the_configured_number_wait(tmp_path: Path) -> None:
    with Mx(tmp_path, {"limits": {"connections": 10}}) as mx:
        address = (LOOPBACK, mx.daemon.port)
        with Traffic(mx.send, clients=2) as traffic:
            traffic.more(5)
            with ExitStack() as crowd:
                for _ in range(30):
                    crowd.enter_context(MilterClient(address, negotiate=False))
                wait_for(lambda: mx.open_connections() == 10, "a full house")
            traffic.more(20)
        mx.all_is_well(traffic)
        assert not traffic.put_off
        shows("All `connections` are taken", mx.daemon.log())
