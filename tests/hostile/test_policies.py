"""Peers of the policy sockets that mean ill: requests that never end, never fit, or are never read."""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence

import pytest

from tests.harness.policy_client import ClientError, PolicyClient, request
from tests.harness.waiting import PATIENCE
from tests.hostile.site import CLIENT, SECONDS, SERVICES, Site

_OPENING = b"request=smtpd_access_policy\n"
_MEGABYTE = 1 << 20

# What is sent, how often, and the answers that come: None where the connection is closed instead.
CASES: dict[str, tuple[Sequence[bytes], list[str] | None]] = {
    "a request without end": ([_OPENING, *[b"a=b\n" * 250_000] * 5], []),
    "a line without end": ([_OPENING + b"sender=", *[b"x" * _MEGABYTE] * 5], []),
    "a line of 1 MB": ([_OPENING + b"sender=", b"x" * _MEGABYTE, b"\n\n"], ["DUNNO"]),
    "10,000 attributes": ([_OPENING, b"".join(b"a%d=x\n" % n for n in range(10_000)), b"\n"], ["DUNNO"]),
    "an attribute 5,000 times": ([_OPENING, b"sender=a@example.org\n" * 5000, b"\n"], ["DUNNO"]),
    "an attribute twice": ([_OPENING, b"sender=a\nsender=b\n\n"], ["DUNNO"]),
    "NUL": ([_OPENING, b"sender=a\0@example.org\n\n"], ["DUNNO"]),
    "10,000 requests that say nothing": ([(_OPENING + b"\n") * 10_000], ["DUNNO"] * 10_000),
    "10,000 requests that cannot be used": ([(_OPENING + b"x\n\n") * 10_000], ["DUNNO"] * 10_000),
    "line ends": ([b"\n" * _MEGABYTE], None),
    "octets": ([bytes(range(256)) * 4000], None),
    "HTTP": ([b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"], None),
    "HTTP without end": ([b"GET / HTTP/1.1\r\n", *[b"X: y\r\n" * 10_000] * 5], None),
    "TLS": ([b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + bytes(500), b"\n\n"], None),
}


@pytest.mark.parametrize("what", CASES)
@pytest.mark.parametrize("name", SERVICES)
def test_what_is_no_request(site: Site, name: str, what: str) -> None:
    pieces, expected = CASES[what]
    with site.bounded(name, megabytes=10, cpu=3), PolicyClient(site.address(name)) as client:
        try:
            for piece in pieces:
                client.raw(piece)
            found = client.answers(1 if expected is None else len(expected))
        except (ClientError, ConnectionError):
            found = None
        assert found == expected


def test_answers_that_are_never_read(site: Site) -> None:
    """The service reads no more than it can answer, and the others notice nothing of it."""
    # Without an instance each is a message of its own, with a long answer.
    lot = (
        request(client_address=CLIENT, sender="a@example.org", helo_name="mx.example.org", instance="") * 200
    )
    with site.bounded("spf", megabytes=15, cpu=20), socket.socket() as narrow:
        narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        narrow.settimeout(0.5)
        narrow.connect(site.address("spf"))
        with pytest.raises(TimeoutError):
            _without_end(narrow, lot)
        assert site.served("spf") < SECONDS


def _without_end(sock: socket.socket, octets: bytes) -> None:
    for _ in range(1000):
        sock.sendall(octets)


@pytest.mark.parametrize("attribute", ["sender", "helo_name", "instance", "recipient"])
@pytest.mark.parametrize("name", SERVICES)
def test_long_words_are_not_remembered(site: Site, name: str, attribute: str) -> None:
    usual = {"client_address": CLIENT, "sender": "a@example.org", "helo_name": "mx.example.org"}
    with site.bounded(name, megabytes=12, cpu=5), PolicyClient(site.address(name)) as client:
        for number in range(400):  # 24 MB
            assert client.ask({**usual, attribute: f"{number}{'x' * 60_000}@example.org"})


@pytest.mark.parametrize("name", SERVICES)
def test_octets_that_drip(site: Site, name: str) -> None:
    """100 connections that never fall silent, and never come to the end of a request."""
    clients = [PolicyClient(site.address(name)) for _ in range(100)]
    open_ones = set(clients)
    begin = time.monotonic()
    while open_ones and time.monotonic() - begin < PATIENCE:
        for client in list(open_ones):
            try:
                client.raw(b"a=b\n")
            except OSError:
                open_ones.discard(client)
        assert site.served(name) < SECONDS
    for client in clients:
        client.close()
    # partial_timeout is 2 s, and is looked after every half second.
    assert not open_ones
