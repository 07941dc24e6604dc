"""``gatepost replay``: play recorded sessions to a milter or policy service, and show what it answers differently now.

The daemon is a running one (``--to``), or one of our own, started for the
occasion from the configuration (``--daemon``). To one of our own policy
services it is the time of the recording.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

from gatepost.cli.options import add_config, add_json
from gatepost.cli.prepare import Prepared, prepare
from gatepost.cli.sockets import socket_address
from gatepost.cli.status import CONFIGURATION, FINE, NOT_IN_ORDER, USAGE
from gatepost.cli.terminal import styled
from gatepost.config.errors import ConfigError
from gatepost.config.load import read
from gatepost.config.settings import Config
from gatepost.config.types import SocketAddress
from gatepost.log import Logger
from gatepost.metrics import Metrics
from gatepost.recording.difference import Difference
from gatepost.recording.events import RecordingError
from milters.assembly import MilterDaemon, remembering_nothing
from milters.recording.events import Recording as MilterSession
from milters.recording.parser import parse
from milters.recording.replay import replay as play
from policy.assembly import PolicyDaemon, remembering_in
from policy.recording.events import Recording as PolicySession
from policy.recording.replay import replay as play_policy
from policy.recording.text import VERSION_LINE as POLICY_LINE
from policy.recording.text import parse as parse_policy

Session = MilterSession | PolicySession
_Found = tuple[Path, Sequence[Difference]]

EXAMPLE = "gatepost replay sessions/*.session --to inet:8891@127.0.0.1"
EXIT_STATUS = (
    "0 all is as recorded, 1 something is answered differently or the daemon cannot be reached, 2 "
    "wrong arguments or no session file, 78 the configuration cannot be used"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="session files")
    milter = parser.add_mutually_exclusive_group(required=True)
    milter.add_argument("--to", type=socket_address, metavar="SOCKET", help="where a daemon listens")
    milter.add_argument("--daemon", metavar="NAME", help="or a daemon of the configuration, run in here")
    add_config(parser)
    parser.add_argument(
        "--clock",
        type=float,
        metavar="SECONDS",
        help="with --daemon: its time, in seconds since 1970, stands still (that of policy sessions begins "
        "there); signatures and seals are then compared whole, else without what changes with time",
    )
    add_json(parser)


def main(arguments: argparse.Namespace) -> int:
    """Play and compare; gives 0 where all is as recorded, else 1; 2 for what is no session file."""
    if arguments.clock is not None and arguments.daemon is None:
        print("gatepost replay: --clock goes with --daemon", file=sys.stderr)
        return USAGE
    try:
        sessions = [(file, _read(file)) for file in arguments.files]
        found = asyncio.run(_replay_all(sessions, arguments))
    except _UnplayableError as error:
        print(f"gatepost: {error}", file=sys.stderr)
        return USAGE
    except ConfigError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)
        return CONFIGURATION
    except OSError as error:
        print(f"gatepost: the daemon cannot be reached: {error.strerror or error}", file=sys.stderr)
        return NOT_IN_ORDER
    if arguments.json:
        print(json.dumps(_report(found), indent=2))
    else:
        same = sum(not differences for _, differences in found)
        print(f"{same} of {len(sessions)} as recorded")
    return NOT_IN_ORDER if any(differences for _, differences in found) else FINE


class _UnplayableError(Exception):
    """A file that is no session file, or none for this daemon; the text says which and why."""


def _read(file: Path) -> Session:
    try:
        with file.open(encoding="utf-8", newline="\n") as opened:
            text = opened.read()
        return parse_policy(text) if text.startswith(POLICY_LINE) else parse(text)
    except OSError as error:
        raise _UnplayableError(f"{file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise _UnplayableError(f"{file}: not UTF-8") from None
    except RecordingError as error:
        raise _UnplayableError(f"{file}: {error}") from None


async def _replay_all(
    sessions: Sequence[tuple[Path, Session]], arguments: argparse.Namespace
) -> list[_Found]:
    """What is answered differently, by file; tells it as it goes."""
    all_found: list[_Found] = []
    async with AsyncExitStack() as stack:
        if arguments.daemon is None:
            target: SocketAddress | _Service = arguments.to
        else:
            own = _Service(arguments)
            milter = own.milter()
            target = own if milter is None else await stack.enter_async_context(running(milter))
        for file, session in sessions:
            if arguments.daemon is not None and isinstance(target, _Service) != isinstance(
                session, PolicySession
            ):
                raise _UnplayableError(f"{file}: this is no session for {arguments.daemon}")
            found = await _replay(session, target, masked=arguments.clock is None)
            if not arguments.json:
                _tell(file, found)
            all_found.append((file, found))
    return all_found


async def _replay(session: Session, target: SocketAddress | _Service, *, masked: bool) -> list[Difference]:
    if not isinstance(session, PolicySession):
        assert isinstance(target, SocketAddress)
        return await play(session, target, masked=masked)
    if isinstance(target, SocketAddress):
        return await play_policy(session, target, masked=masked)
    # A service remembers what it was asked: each session finds one that remembers nothing.
    with tempfile.TemporaryDirectory(prefix="gatepost-") as memory:
        async with running(target.policy_service(Path(memory))) as address:
            return await play_policy(session, address, masked=masked, set_clock=target.set_time)


class _Service:
    """A daemon of the configuration, and the time that it is for it. Raises ConfigError."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._loaded = read(arguments.config)
        self._name: str = arguments.daemon
        self._time: float | None = arguments.clock

    def set_time(self, seconds: float) -> None:
        """It is now *seconds* since 1970."""
        self._time = seconds

    def milter(self) -> MilterDaemon | None:
        """The daemon, if it is a milter."""
        daemon = self._prepared(remembering_nothing(self._loaded.config, self._name))
        if not isinstance(daemon, MilterDaemon):
            return None
        return daemon if self._time is None else replace(daemon, clock=self._clock)

    def policy_service(self, memory: Path) -> PolicyDaemon:
        """The daemon, a policy service, with all that it remembers in *memory*."""
        daemon = self._prepared(remembering_in(memory, self._loaded.config, self._name))
        assert isinstance(daemon, PolicyDaemon)
        return replace(daemon, clock=self._clock)

    def _clock(self) -> float:
        return time.time() if self._time is None else self._time

    def _prepared(self, config: Config) -> Prepared:
        try:
            return prepare(config, self._name)
        except ConfigError as error:
            raise ConfigError([self._loaded.locate(problem) for problem in error.problems]) from None


@asynccontextmanager
async def running(daemon: MilterDaemon | PolicyDaemon) -> AsyncIterator[SocketAddress]:
    """Run *daemon* in this event loop, on a socket that nobody else can reach."""
    log = Logger(level="warning", daemon=daemon.name)
    worker = daemon.worker(log, Metrics(daemon.name))
    with tempfile.TemporaryDirectory(prefix="gatepost-") as directory:
        path = f"{directory}/daemon"
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


def _report(found: Sequence[_Found]) -> dict[str, object]:
    sessions = [
        {
            "file": str(file),
            "as_recorded": not differences,
            "differences": [
                {"connection": difference.connection, "lines": list(difference.lines)}
                for difference in differences
            ],
        }
        for file, differences in found
    ]
    return {"sessions": sessions}
