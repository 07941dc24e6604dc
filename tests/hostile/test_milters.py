"""Peers of the milter sockets that mean ill: what one message, or one connection, can cost."""

from __future__ import annotations

import array
import fcntl
import socket
import termios
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace

import pytest

from milters import mfdef
from tests.harness.milter_client import Header, Mail, MilterClient, offer, packet
from tests.harness.waiting import PATIENCE, wait_for
from tests.hostile.site import HONEST, MILTERS, SECONDS, Site

_SIGNATURE = b" v=1; a=rsa-sha256; d=%b; s=mail; h=%b; bh=AAAA; b=AAAA"
_NAMES = b":".join([b"from", *(b"x%d" % number for number in range(255))])
_SEAL = b"(gatepost-seal v1 t=%d m=AAAAAAAAAAAAAAAAAAAAAA)"


def _forged(results: bytes) -> Header:
    return b"Authentication-Results", b" mail.example.nl; " + results + _SEAL % int(time.time())


# Header fields above those of an honest mail, and the DNS questions that they may cause.
HEADERS: dict[str, tuple[Sequence[Header], int]] = {
    "10,000 signatures of one domain": (
        [(b"DKIM-Signature", _SIGNATURE % (b"example.org", b"from"))] * 10_000,
        0,
    ),
    "signatures of 10,000 domains": (
        [(b"DKIM-Signature", _SIGNATURE % (b"d%d.example.net" % n, b"from")) for n in range(10_000)],
        10,
    ),
    "signatures of one long field": (
        [(b"DKIM-Signature", _SIGNATURE % (b"example.org", _NAMES))] * 10
        + [(b"X%d" % (n % 255), b" x\t" * 300) for n in range(8000)],
        0,
    ),
    "signatures that are all folds": ([(b"DKIM-Signature", b" b=" + b"\n\t" * 100_000)] * 20, 0),
    "2,000 forged results": ([_forged(b"dkim=pass ")] * 2000, 0),
    "forged results of 64 kB": ([_forged(b"dkim=pass " * 6500)] * 100, 0),
    "results in comments": ([(b"Authentication-Results", b" (((((x)))))" * 5000)] * 100, 0),
    "results in a comment without end": ([(b"Authentication-Results", b" " + b"(" * 60_000)] * 100, 0),
    "15,000 From fields": ([(b"From", b" a@example.org")] * 15_000, 0),
    "one From field of 8 MB": ([(b"From", b" a@example.org," * 500)] * 1000, 0),
    "other names for From": ([(b"From" + b" \t" * 500, b" a@example.org")] * 5000, 0),
    "a header beyond the limit": ([(b"X", b"x" * 60_000)] * 250, 0),
    "fields beyond the limit": ([(b"X", b"")] * 30_000, 0),
}


@pytest.mark.parametrize("what", HEADERS)
@pytest.mark.parametrize("name", MILTERS)
def test_one_message_costs_little(site: Site, name: str, what: str) -> None:
    headers, questions = HEADERS[what]
    mail = replace(HONEST, headers=[*headers, *HONEST.headers])
    if name == "dkim-sign":
        mail.client_address = "127.0.0.1"
    with (
        site.bounded(name, megabytes=40, cpu=3, questions=questions),
        MilterClient(site.address(name)) as client,
    ):
        for _, data, answered in client.script.steps(mail, new_session=True):
            client.raw(data)
            assert not answered or _verdict(client)


def _verdict(client: MilterClient) -> bytes:
    """The reply that ends a message, behind all changes; they are not made here."""
    while (reply := client.read_packet()[0]) in (b"i", b"m", b"p"):
        pass
    return reply


FROM = {
    "comments, nested": b"(" * 16_000 + b")" * 16_000 + b" a@example.org",
    "comments, nested as deep as may be": b"(((((x)))))" * 2900 + b" a@example.org",
    "comments side by side": b"(a)" * 10_900 + b"a@example.org",
    "comments without end": b"(a" * 16_000,
    "quoted pairs": b'"' + b"\\a" * 16_000 + b'" <a@example.org>',
    "quotes that end": b'"" ' * 10_900 + b"<a@example.org>",
    "quotes without end": b'"a' * 16_000,
    "groups": b"g:" * 16_000 + b"a@example.org" + b";" * 16_000,
    "source routes": b"<" + b"@a," * 10_000 + b":a@example.org>",
    "angle brackets": b"<" * 32_000,
    "addresses": b"a@b.nl," * 4600 + b"a@example.org",
    "commas": b"," * 32_000,
    "words": b"a " * 16_000 + b"<a@example.org>",
    "encoded words": b"=?utf-8?b?YQ==?= " * 1900 + b"<a@example.org>",
    "dots": b"a." * 16_000 + b"a@example.org",
    "labels": b"a@" + b"a." * 16_000 + b"org",
    "long labels": b"a@" + b"a" * 32_000 + b".org",
    "U-labels": b"a@" + "\u00fc".encode() * 500 + b".org",
    "combining characters": b"a@" + ("a" + "\u0301" * 500).encode() + b".org",
    "wide characters": "\uff41".encode() * 10_000 + b"@example.org",
    "folds": b"\n " * 16_000 + b"a@example.org",
    "backslashes": b"\\" * 32_000,
}


@pytest.mark.parametrize("name", MILTERS)
def test_an_author_made_to_be_hard_to_read(site: Site, name: str) -> None:
    with site.bounded(name, megabytes=10, cpu=2), MilterClient(site.address(name)) as client:
        for value in FROM.values():
            begin = time.monotonic()
            mail = Mail(headers=[(b"From", b" " + value)], client_address="127.0.0.1", mail_from=b"")
            client.send(mail)
            assert time.monotonic() - begin < SECONDS


# Packets that may come without end, and never to a verdict.
FLOODS = {
    "negotiations that are none": (packet(b"E"), b"", 0),
    "macros": (b"", packet(mfdef.SMFIC_MACRO, b"L{x}\0" + b"v" * 60_000 + b"\0"), 300),
    "connections": (b"", packet(mfdef.SMFIC_CONNECT, b"c" * 4000 + b"\0U"), 4000),
    "HELO": (b"", packet(mfdef.SMFIC_HELO, b"h" * 4000 + b"\0"), 4000),
    "senders": (b"", packet(mfdef.SMFIC_MAIL, b"s" * 4000 + b"\0"), 4000),
    "recipients": (b"", packet(mfdef.SMFIC_RCPT, b"r" * 4000 + b"\0"), 12_000),
    "DATA": (b"", packet(mfdef.SMFIC_DATA), 100_000),
    "unknown SMTP commands": (b"", packet(mfdef.SMFIC_UNKNOWN, b"FOO\0"), 100_000),
    "fields": (b"", packet(mfdef.SMFIC_HEADER, b"X\0" + b"x" * 60_000 + b"\0"), 500),
    "body": (packet(mfdef.SMFIC_EOH), packet(mfdef.SMFIC_BODY, b"\r\n" * 30_000), 500),
    "aborts": (b"", packet(mfdef.SMFIC_MAIL, b"a\0") + packet(mfdef.SMFIC_ABORT), 20_000),
    "sessions": (b"", packet(mfdef.SMFIC_HELO, b"h\0") + packet(mfdef.SMFIC_QUIT_NC), 20_000),
}


@pytest.mark.parametrize("what", FLOODS)
def test_what_comes_without_end(site: Site, what: str) -> None:
    first, again, count = FLOODS[what]
    with (
        site.bounded("dkim-verify", megabytes=20, cpu=5),
        MilterClient(site.address("dkim-verify")) as client,
    ):
        client.raw(first)
        lot = max(1, 1_000_000 // max(len(again), 1))
        for start in range(0, count, lot):
            client.raw(again * min(lot, count - start))
        _until_read(client.socket)
        assert site.served("dkim-verify") < SECONDS


def _until_read(sock: socket.socket) -> None:
    """Wait until the kernel has nothing more to send, that is, all is received at the other end."""

    def unsent() -> int:
        left = array.array("i", [0])
        fcntl.ioctl(sock, termios.TIOCOUTQ, left)
        return left[0]

    wait_for(lambda: unsent() == 0, "the other end")


@pytest.mark.parametrize("length", [0, 1 << 20 | 1, 0x7FFFFFFF, 0xFFFFFFFF])
def test_a_packet_that_is_announced_takes_no_memory(site: Site, length: int) -> None:
    with site.bounded("dkim-verify", megabytes=5, cpu=1), ExitStack() as stack:
        for _ in range(50):
            client = stack.enter_context(MilterClient(site.address("dkim-verify")))
            client.raw(length.to_bytes(4) + b"B" + b"x" * 1000)
            assert client.socket.recv(1) == b""


@pytest.mark.parametrize("begun", [b"", offer()], ids=["at once", "after the negotiation"])
def test_octets_that_drip(site: Site, begun: bytes) -> None:
    """100 connections that never fall silent, and never come to an end of anything."""
    with ExitStack() as stack:
        clients = []
        for _ in range(100):
            client = stack.enter_context(MilterClient(site.address("dkim-verify"), negotiate=False))
            client.raw(begun + b"\0\0\x40\0L")
            clients.append(client)
        open_ones = set(clients)
        begin = time.monotonic()
        while open_ones and time.monotonic() - begin < PATIENCE:
            for client in list(open_ones):
                try:
                    client.raw(b"x")
                except OSError:
                    open_ones.discard(client)
            assert site.served("dkim-verify") < SECONDS
        # partial_timeout is 2 s, and is looked after every half second.
        assert not open_ones
