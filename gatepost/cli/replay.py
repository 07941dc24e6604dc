"""``gatepost replay``: play recorded sessions to a milter, and show what it answers differently now.

The milter is a running one (``--to``), or one of our own daemons, started for
the occasion from the configuration (``--daemon``).
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from gatepost.cli.options import add_config
from gatepost.cli.prepare import prepare
from gatepost.cli.sockets import socket_address
from gatepost.cli.status import CONFIGURATION, FINE, NOT_IN_ORDER, USAGE
from gatepost.cli.terminal import styled
from gatepost.config.errors import ConfigError
from gatepost.config.load import read
from gatepost.config.types import SocketAddress
from gatepost.log import Logger
from gatepost.metrics import Metrics
from milters.assembly import MilterDaemon
from milters.recording.events import Recording, RecordingError
from milters.recording.parser import parse
from milters.recording.replay import Difference
from milters.recording.replay import replay as play

EXAMPLE = "gatepost replay sessions/*.session --to inet:8891@127.0.0.1"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="session files")
    milter = parser.add_mutually_exclusive_group(required=True)
    milter.add_argument("--to", type=socket_address, metavar="SOCKET", help="where a milter listens")
    milter.add_argument("--daemon", metavar="NAME", help="or a daemon of the configuration, run in here")
    add_config(parser)
    parser.add_argument(
        "--clock",
        type=float,
        metavar="SECONDS",
        help="with --daemon: its time, in seconds since 1970, stands still; signatures and seals are then "
        "compared whole, else without what changes with time",
    )


def main(arguments: argparse.Namespace) -> int:
    """Play and compare; gives 0 where all is as recorded, else 1; 2 for what is no session file."""
    if arguments.clock is not None and arguments.daemon is None:
        print("gatepost replay: --clock goes with --daemon", file=sys.stderr)
        return USAGE
    try:
        recordings = [(file, _read(file)) for file in arguments.files]
    except _UnreadableError as error:
        print(f"gatepost: {error}", file=sys.stderr)
        return USAGE
    try:
        prepared = None if arguments.daemon is None else _prepared(arguments)
    except ConfigError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)
        return CONFIGURATION
    try:
        different = asyncio.run(_replay_all(recordings, arguments.to, prepared, arguments.clock is None))
    except OSError as error:
        print(f"gatepost: the milter cannot be reached: {error.strerror or error}", file=sys.stderr)
        return NOT_IN_ORDER
    same = len(recordings) - different
    print(f"{same} of {len(recordings)} as recorded")
    return NOT_IN_ORDER if different else FINE


class _UnreadableError(Exception):
    """A file that is no session file; the text says which and why."""


def _read(file: Path) -> Recording:
    try:
        with file.open(encoding="utf-8", newline="\n") as text:
            return parse(text.read())
    except OSError as error:
        raise _UnreadableError(f"{file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise _UnreadableError(f"{file}: not UTF-8") from None
    except RecordingError as error:
        raise _UnreadableError(f"{file}: {error}") from None


def _prepared(arguments: argparse.Namespace) -> MilterDaemon:
    loaded = read(arguments.config)
    try:
        daemon = prepare(loaded.config, arguments.daemon)
    except ConfigError as error:
        raise ConfigError([loaded.locate(problem) for problem in error.problems]) from None
    assert isinstance(daemon, MilterDaemon)
    if arguments.clock is not None:
        daemon = replace(daemon, clock=lambda: arguments.clock)
    return daemon


async def _replay_all(
    recordings: Sequence[tuple[Path, Recording]],
    address: SocketAddress | None,
    prepared: MilterDaemon | None,
    masked: bool,
) -> int:
    """How many of the files are answered differently; tells each as it goes."""
    if address is None:
        assert prepared is not None
        async with running(prepared) as own:
            return await _replay_all(recordings, own, None, masked)
    different = 0
    for file, recording in recordings:
        found = await play(recording, address, masked=masked)
        _tell(file, found)
        different += bool(found)
    return different


@asynccontextmanager
async def running(daemon: MilterDaemon) -> AsyncIterator[SocketAddress]:
    """Run *daemon* in this event loop, on a socket that nobody else can reach."""
    log = Logger(level="warning", daemon=daemon.name)
    worker = daemon.worker(log, Metrics(daemon.name))
    with tempfile.TemporaryDirectory(prefix="gatepost-") as directory:
        path = f"{directory}/milter"
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen()
        await worker.start([listener])
        try:
            yield SocketAddress("unix", path=path)
        finally:
            await worker.stop(0)


def _tell(file: Path, differences: Sequence[Difference]) -> None:
    for difference in differences:
        print(styled(f"{file}, connection {difference.connection}:", "bold", sys.stdout))
        for line in difference.lines:
            colour = {"-": "red", "+": "yellow"}.get(line[:1])
            print("  " + (styled(line, colour, sys.stdout) if colour else line))
