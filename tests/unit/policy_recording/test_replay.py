"""Policy sessions recorded through the proxy, and played again."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from gatepost.config.types import SocketAddress
from gatepost.recording.events import End, Left, Raw, Side
from gatepost.recording.proxy import Proxy
from gatepost.recording.shelf import shelf
from policy.recording.events import Answered, Asked, Clock, Connection, Event, Recording
from policy.recording.language import POLICY
from policy.recording.replay import replay
from policy.recording.text import parse
from tests.harness.policy_client import PolicyClient, request
from tests.unit.policy.serving import PolicyServer


def test_record_then_replay(tmp_path: Path) -> None:
    with PolicyServer(tmp_path / "socket") as server:
        server.open_gate()
        address = SocketAddress("unix", path=str(tmp_path / "socket"))
        into = shelf(str(tmp_path / "one.session"), "A comment.", POLICY)
        asyncio.run(_record(Proxy(address, into.open_book, pytest.fail, POLICY), tmp_path / "proxy"))
        into.close()
        recording = parse((tmp_path / "one.session").read_text())
        assert recording.comment == "A comment."
        (connection,) = recording.connections
        answers = [event.action for event in connection.events if isinstance(event, Answered)]
        assert answers == [b"PREPEND X-Seen: 1", b"PREPEND X-Waited: 2", b"DUNNO", b"PREPEND X-Seen: 4"]
        assert connection.events[-2:] == [Raw(Side.MTA, b"garbage\n\n"), Left(Side.DAEMON, End.CLOSE)]
        assert asyncio.run(replay(recording, address)) == []


async def _record(proxy: Proxy, path: Path) -> None:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    server = await asyncio.start_server(proxy.serve, sock=listener)
    await asyncio.to_thread(_talk, str(path))
    server.close()
    await proxy.stop()


def _talk(path: str) -> None:
    with PolicyClient(path) as client:
        for number, sender in enumerate(("a@x", "wait@x", "raise@x", "b@x"), start=1):
            client.ask(sender=sender, recipient=str(number))
        client.raw(b"garbage\n\n")
        assert client.at_end()


def asked(sender: str, recipient: str = "x") -> Asked:
    lines = request(sender=sender, recipient=recipient).decode().strip().split("\n")
    return Asked(tuple((name, value.encode()) for name, _, value in (line.partition("=") for line in lines)))


DIFFERENT: list[tuple[Sequence[Event], list[str]]] = [
    ([asked("a@x"), Answered(b"DUNNO")], ['-"DUNNO"', '+"PREPEND X-Seen: x"']),
    (
        [asked("a@x"), Left(Side.DAEMON, End.CLOSE)],
        ["-the connection is closed", '+"PREPEND X-Seen: x"'],
    ),
    ([Raw(Side.MTA, b"garbage\n\n"), Answered(b"DUNNO")], ['-"DUNNO"', "+the connection is closed"]),
    ([asked("never@x"), Answered(b"DUNNO")], ['-"DUNNO"', '+"no answer at all"']),
]


@pytest.mark.parametrize(("events", "lines"), DIFFERENT)
def test_differences_are_told(tmp_path: Path, events: list[Event], lines: list[str]) -> None:
    with PolicyServer(tmp_path / "socket") as server:
        address = SocketAddress("unix", path=str(server.address))
        recording = Recording([Connection([asked("a@x"), Answered(b"PREPEND X-Seen: x"), *events])])
        ((number, found),) = asyncio.run(replay(recording, address, patience=0.2))
        assert number == 1
        assert found[1:] == lines


SEALED = "PREPEND A: b (gatepost-seal v1 t={} m={})"
TIMED: list[tuple[str, str, bool]] = [
    (SEALED.format(1, "abc"), SEALED.format(2, "xyz"), True),
    (SEALED.format(1, "abc"), SEALED.format(1, "abc").replace("b", "c"), False),
    ("DEFER_IF_PERMIT 4.2.0 in 300 seconds", "DEFER_IF_PERMIT 4.2.0 in 299 seconds", True),
    (
        "PREPEND X-Greylist: delayed 301 seconds by x; Sat, 1",
        "PREPEND X-Greylist: delayed 9 seconds by x; Sun, 2",
        True,
    ),
    ("REJECT a; b", "REJECT a; c", False),
]


@pytest.mark.parametrize(("then", "now", "same"), TIMED)
def test_what_changes_with_time_may_be_masked(tmp_path: Path, then: str, now: str, same: bool) -> None:
    with PolicyServer(tmp_path / "socket") as server:
        server.handler.fixed = now
        address = SocketAddress("unix", path=str(server.address))
        recording = Recording([Connection([asked("a@x"), Answered(then.encode())])])
        assert (asyncio.run(replay(recording, address)) == []) is same
        assert asyncio.run(replay(recording, address, masked=False)) != []


def test_the_time_goes_with_the_recording(tmp_path: Path) -> None:
    times: list[Any] = []
    with PolicyServer(tmp_path / "socket") as server:
        address = SocketAddress("unix", path=str(server.address))
        said: list[Event] = [asked("a@x"), Answered(b"PREPEND X-Seen: x")]
        recording = Recording([Connection([Clock(5), *said, Clock(9), *said, Left(Side.MTA, End.CLOSE)])])
        assert asyncio.run(replay(recording, address, set_clock=times.append)) == []
    assert times == [5, 9]
