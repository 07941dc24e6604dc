"""More connections than anybody needs, at the daemons' sockets and at their metrics."""

from __future__ import annotations

import resource
import socket
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import psutil
import pytest

from tests.harness.milter_client import offer
from tests.harness.ports import LOOPBACK
from tests.harness.waiting import PATIENCE, wait_for
from tests.hostile.site import SECONDS, Site

CROWD = 5000


@contextmanager
def _descriptors(wanted: int) -> Iterator[int]:
    """As many descriptors for this process as there may be, up to *wanted*; gives how many connections that makes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    raised = min(wanted + 500, hard) if hard != resource.RLIM_INFINITY else wanted + 500
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, raised), hard))
    try:
        yield min(wanted, max(soft, raised) - 500)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextmanager
def _crowd(address: tuple[str, int], count: int) -> Iterator[list[socket.socket]]:
    with ExitStack() as stack:
        yield [stack.enter_context(socket.create_connection(address, timeout=PATIENCE)) for _ in range(count)]


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("dkim-verify", b""),
        ("dkim-verify", offer() + b"\0\0\0\x09L"),
        ("spf", b"request=smtpd_access_policy\n"),
    ],
    ids=["milter, silent", "milter, begun", "policy, begun"],
)
def test_five_thousand_connections(crowded: Site, name: str, first: bytes) -> None:
    """Where so many are allowed, they cost a few kilobytes each, and the next client is served as ever."""
    daemon = crowded.installation[name]
    count = f'gatepost_connections{{daemon="{name}"}}'
    with crowded.bounded(name, megabytes=30, cpu=10), _descriptors(CROWD) as possible:
        before = crowded.usage(name)
        with _crowd(crowded.address(name), possible) as crowd:
            for client in crowd:
                if first:
                    client.sendall(first)
            wait_for(lambda: crowded.open_connections(name) >= possible, f"{count} of {possible}")
            spent = crowded.usage(name) - before
            assert spent.megabytes < possible * 20 / 1024
            assert max(crowded.served(name) for _ in range(10)) < SECONDS
            assert daemon.process.status is None
        wait_for(lambda: crowded.open_connections(name) == 0, "the end of all connections")


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    limits = {"connections": CROWD + 1000}
    with Site(tmp_path_factory.mktemp("crowded"), limits, names=("dkim-verify", "spf")) as site:
        yield site


def test_beyond_the_limit_the_silent_ones_go_first(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A full house of strangers that say nothing is empty again after partial_timeout."""
    limits = {"connections": 50, "partial_timeout": "1s"}
    with Site(tmp_path_factory.mktemp("full"), limits, names=("spf",)) as site:
        begin = time.monotonic()
        with _crowd(site.address("spf"), 100):
            assert site.served("spf") < 2 * (1 + SECONDS)
        assert time.monotonic() - begin > 0.5  # it did have to wait, if only while the crowd came


GARBAGE = {
    "silence": b"",
    "half a request": b"GET /metrics HTTP/1.1\r\nX: ",
    "a header without end": b"GET /metrics HTTP/1.1\r\n" + b"X: y\r\n" * 20_000,
    "a line without end": b"GET /" + b"x" * 200_000,
    "octets": bytes(range(256)) * 500,
    "a milter's client": offer(),
    "a request, never read": b"GET /metrics HTTP/1.1\r\n\r\n",
    "requests in a row": b"GET /metrics HTTP/1.1\r\n\r\n" * 1000,
    "a body without end": b"POST /metrics HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n" + b"x" * 200_000,
}


@pytest.mark.parametrize("what", GARBAGE)
def test_garbage_at_the_metrics(site: Site, what: str) -> None:
    daemon = site.installation["dkim-verify"]
    supervisor = psutil.Process(daemon.process.pid)
    memory, times = supervisor.memory_info().rss, supervisor.cpu_times()
    with _crowd((LOOPBACK, daemon.metrics_port), 200) as crowd:
        for client in crowd:
            client.settimeout(1)
            try:
                client.sendall(GARBAGE[what])
            except OSError:
                pass  # it was let go of already
        begin = time.monotonic()
        for page in ("metrics", "healthz"):
            with urllib.request.urlopen(
                f"http://{LOOPBACK}:{daemon.metrics_port}/{page}", timeout=PATIENCE
            ) as answer:
                assert answer.status == 200
        assert time.monotonic() - begin < SECONDS
        assert site.served("dkim-verify") < SECONDS
    assert supervisor.memory_info().rss - memory < 10 << 20
    spent = supervisor.cpu_times()
    assert spent.user + spent.system - times.user - times.system < 5
