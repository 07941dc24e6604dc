"""Every recorded session, played to both engines: the same answers, octet for octet, as the real Postfix got."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from gatepost.config.types import SocketAddress
from gatepost.recording.events import Side
from milters.recording.events import Packet, Recording
from milters.recording.parser import parse
from milters.recording.replay import replay
from milters.recording.writer import write
from tests.harness.waiting import PATIENCE
from tests.sessions.bench import NAMES
from tests.sessions.daemons import HERE, Engine

FILES = sorted(HERE.glob("*/*.session"))
DAEMONS = sorted({file.parent.name for file in FILES})
ENGINES: tuple[Engine, ...] = ("asyncio", "libmilter")


@pytest.fixture(scope="module")
def scratch() -> Iterator[Path]:
    """A directory whose name is short enough for unix sockets."""
    with tempfile.TemporaryDirectory(prefix="gatepost-") as directory:
        yield Path(directory)


@pytest.fixture(scope="module", params=ENGINES)
def served(request: pytest.FixtureRequest, scratch: Path) -> Iterator[dict[str, SocketAddress]]:
    """Where each daemon listens, on one engine: a process each, as libmilter will have it."""
    engine: Engine = request.param
    addresses = {name: SocketAddress("unix", path=str(scratch / f"{name}.{engine}")) for name in DAEMONS}
    with ExitStack() as running:
        started = []
        for name, address in addresses.items():
            command = [sys.executable, "-m", "tests.sessions.serve", engine, name, str(scratch), address.path]
            process = running.enter_context(
                subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=HERE.parents[1], text=True
                )
            )
            started.append(process)
        for process in started:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        yield addresses
        for process in started:
            assert process.stdin is not None
            process.stdin.close()
        for process in started:
            assert process.wait(PATIENCE) == 0


def read(file: Path) -> Recording:
    return parse(file.read_text(encoding="utf-8"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_the_answers_are_as_recorded(file: Path, served: dict[str, SocketAddress]) -> None:
    different = asyncio.run(replay(read(file), served[file.parent.name], masked=False, patience=PATIENCE))

    assert different == []


def test_there_are_sessions_of_every_daemon() -> None:
    assert sorted(NAMES) == DAEMONS
    assert len(FILES) >= 150


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_files_are_written_as_they_are_read(file: Path) -> None:
    """So that recording anew shows nothing but what is different."""
    assert write(read(file)) == file.read_text(encoding="utf-8")


def test_a_different_answer_is_seen(served: dict[str, SocketAddress]) -> None:
    """The same sessions, with an octet of the message altered: all that were judged by it differ."""
    recording = read(HERE / "verify" / "dkim-rsa.session")
    events = recording.connections[0].events
    for place, event in enumerate(events):
        if isinstance(event, Packet) and event.side is Side.MTA and event.payload == b"Hello.\r\n":
            events[place] = event._replace(payload=b"Hello!\r\n")

    [difference] = asyncio.run(replay(recording, served["verify"], masked=True))

    assert (
        '-        "\\tdkim=pass (2048-bit key) header.d=example.org header.i=@example.org\\n"'
        in difference.lines
    )
    assert any("dkim=fail" in line for line in difference.lines)


def test_a_daemon_that_wants_more_than_was_recorded(served: dict[str, SocketAddress]) -> None:
    """A signer's session has no HELO, which a verifier asks for."""
    recording = read(HERE / "sign" / "user.session")

    [difference] = asyncio.run(replay(recording, served["verify"]))

    assert difference.lines[-1] == " (the daemon now asks for steps that were not recorded: HELO)"
