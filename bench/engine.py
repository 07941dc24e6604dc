"""How fast the servers are with a handler that does next to nothing: what a daemon's own work comes on top of.

    script/bench engine [--policy] [--tcp] [--wait] [--clients 8] [--seconds 5] [--profile FILE]

The server is one process. Its milter asks for all of a message, as a verifier
does, and inserts one header field; its policy service says DUNNO. With --wait
that answer is a coroutine. --profile writes what cProfile saw of the server.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvloop

from bench import load, mails
from bench.endpoint import Endpoint
from bench.milter_load import Dialogues
from bench.players import Player, Running
from bench.policy_load import Questions, template
from bench.result import duration
from bench.world import World
from gatepost.config.sections import Limits
from gatepost.log import Logger
from gatepost.message import Message
from gatepost.metrics import Metrics
from milters.handler import InsertHeader, Needs, Step, Verdict
from milters.server import MilterWorker
from policy.handler import DUNNO, Request
from policy.server import PolicyWorker
from tests.harness.process import Process

NO_OP = "no-op milter"

_VERDICT = Verdict(changes=(InsertHeader(b"Authentication-Results", b"mx.example.org; none"),))
_EXPECTED = b"mx.example.org; none"
_BACKLOG = 128


class Examination:
    """Looks at nothing."""

    def body(self, chunk: bytes) -> bool:
        return True

    def finish(self) -> Verdict:
        return _VERDICT

    def cancel(self) -> None:
        pass


class MilterHandler:
    """Asks for what a verifier asks for."""

    name = "bench"
    needs = Needs(
        steps=Step.CONNECT | Step.HELO | Step.MAIL | Step.RCPT | Step.HEADERS | Step.BODY,
        macros={"mail": ("auth_authen",), "eom": ("i",)},
    )

    def examine(self, message: Message) -> Examination:
        return Examination()


class PolicyHandler:
    """Has no opinion."""

    name = "bench"

    def decide(self, request: Request) -> str:
        return DUNNO

    async def close(self) -> None:
        pass


class WaitingHandler(PolicyHandler):
    """Has none either, but only when it is asked for it."""

    async def decide(self, request: Request) -> str:  # type: ignore[override]
        return DUNNO


def _worker(kind: str) -> Any:
    if kind == "milter":
        return MilterWorker(MilterHandler(), limits=Limits(), log=Logger(daemon="bench"))
    handler = WaitingHandler() if kind == "policy-waiting" else PolicyHandler()
    return PolicyWorker(handler, limits=Limits(), log=Logger(daemon="bench"), metrics=Metrics("bench"))


async def _serve(kind: str, listener: socket.socket) -> None:
    worker = _worker(kind)
    await worker.start([listener])
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    await ended.wait()
    await worker.stop(0)


def serve(kind: str, endpoint: Endpoint, profile: str = "") -> None:
    """Be the server until SIGTERM comes."""
    if endpoint.path:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(endpoint.path))
        listener.listen(_BACKLOG)
    else:
        listener = socket.create_server(endpoint.address, backlog=_BACKLOG)
    if not profile:
        uvloop.run(_serve(kind, listener))
        return
    profiler = cProfile.Profile()
    profiler.runcall(uvloop.run, _serve(kind, listener))
    profiler.dump_stats(profile)


@contextmanager
def server(directory: Path, kind: str, endpoint: Endpoint, profile: str = "") -> Iterator[Running]:
    """The server in a process of its own."""
    place = str(endpoint.path or endpoint.port)
    command = [sys.executable, "-m", "bench.engine", "--serve", kind, place, "--profile", profile]
    with Process(command, directory / f"{kind}.log", ready=endpoint.ready) as process:
        try:
            yield Running(endpoint, [process.pid])
        except Exception as error:
            error.add_note(f"the server's status: {process.status}, and its output:\n{process.output()}")
            raise


@contextmanager
def _start_no_op(world: World) -> Iterator[Running]:
    place = world.place("no-op")
    with server(place, "milter", world.endpoint(place)) as running:
        yield running


def no_op_milter() -> Player:
    """The milter server alone, in one process."""
    return Player(NO_OP, _start_no_op)


def main() -> None:
    """Measure, or be the server that is measured."""
    parser = argparse.ArgumentParser(prog="script/bench engine", description=__doc__)
    parser.add_argument("--policy", action="store_true", help="the policy server; else the milter server")
    parser.add_argument("--tcp", action="store_true", help="over TCP; else over a unix socket")
    parser.add_argument("--wait", action="store_true", help="the policy service's answer is a coroutine")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--profile", default="", metavar="FILE")
    parser.add_argument("--serve", nargs=2, metavar=("KIND", "PLACE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        kind, place = options.serve
        serve(kind, Endpoint(port=int(place)) if place.isdigit() else Endpoint(Path(place)), options.profile)
        return
    kind = ("policy-waiting" if options.wait else "policy") if options.policy else "milter"
    with tempfile.TemporaryDirectory(prefix="gpbench-") as directory:
        endpoint = Endpoint.tcp() if options.tcp else Endpoint(Path(directory, "socket"))
        with server(Path(directory), kind, endpoint, options.profile) as running:
            if options.policy:
                make: load.MakeClient = Questions(endpoint.address, [template()], b"DUNNO", 0).client
            else:
                messages = [mails.plain("sender.example", number) for number in range(20)]
                make = Dialogues.prepare(endpoint.address, messages, [_EXPECTED]).client
            found = load.run(make, options.clients, options.seconds, running.pids)
    print(f"{found.rate:.0f} per second, {duration(found.cpu)} of the server's CPU each")
    print(f"p50 {duration(found.p50)}, p99 {duration(found.p99)}, {options.clients} clients")


if __name__ == "__main__":
    main()
