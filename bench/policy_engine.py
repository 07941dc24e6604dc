"""How many requests a second the policy server answers with a handler that does next to nothing.

    .venv/bin/python bench/policy_engine.py [--tcp] [--clients 8] [--seconds 5] [--wait] [--profile FILE]

The server is a process of its own, and so are the clients. Each has one
request under way at a time, as Postfix does, with all the attributes that
Postfix sends. With --wait, the handler's answer is a coroutine.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import multiprocessing
import os
import select
import socket
import sys
import tempfile
import time
from pathlib import Path

import uvloop

sys.path.insert(0, str(Path(__file__).parents[1]))

from gatepost.config.sections import Limits
from gatepost.log import Logger
from gatepost.metrics import Metrics
from policy.handler import DUNNO, Request
from policy.server import PolicyWorker
from tests.harness.policy_client import Address, PolicyClient, request


class Handler:
    name = "bench"

    def decide(self, request: Request) -> str:
        return DUNNO if request.recipient else "DEFER_IF_PERMIT"

    async def close(self) -> None:
        pass


class WaitingHandler(Handler):
    async def decide(self, request: Request) -> str:  # type: ignore[override]
        return DUNNO if request.recipient else "DEFER_IF_PERMIT"


async def serve(listener: socket.socket, seconds: float, handler: Handler) -> None:
    worker = PolicyWorker(handler, limits=Limits(), log=Logger(daemon="bench"), metrics=Metrics("bench"))
    await worker.start([listener])
    await asyncio.sleep(seconds)
    await worker.stop(0)


def server(listener: socket.socket, seconds: float, handler: Handler, profile: str) -> None:
    if profile:
        profiler = cProfile.Profile()
        profiler.enable()
    uvloop.run(serve(listener, seconds, handler))
    if profile:
        profiler.disable()
        profiler.dump_stats(profile)


class Client:
    """One connection, always with a request under way."""

    def __init__(self, address: Address) -> None:
        self.policy = PolicyClient(address)
        self.request = request()
        self.times: list[float] = []
        self.begin()

    def begin(self) -> None:
        self.started = time.perf_counter()
        self.policy.socket.send(self.request)

    def read(self) -> None:
        self.policy.socket.recv(4096)
        self.times.append(time.perf_counter() - self.started)
        self.begin()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tcp", action="store_true")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--wait", action="store_true")
    parser.add_argument("--profile", default="")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        address: Address
        if options.tcp:
            listener = socket.create_server(("127.0.0.1", 0), backlog=128)
            address = listener.getsockname()[:2]
        else:
            address = f"{directory}/policy"
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(address)
            listener.listen(128)
        handler = WaitingHandler() if options.wait else Handler()
        process = multiprocessing.get_context("fork").Process(
            target=server, args=(listener, options.seconds + 1, handler, options.profile)
        )
        process.start()
        listener.close()
        clients = [Client(address) for _ in range(options.clients)]
        by_descriptor = {client.policy.socket.fileno(): client for client in clients}
        poll = select.epoll()
        for descriptor in by_descriptor:
            poll.register(descriptor, select.EPOLLIN)
        began, cpu = time.perf_counter(), cpu_seconds(process.pid)
        while time.perf_counter() - began < options.seconds:
            for descriptor, _ in poll.poll(1):
                by_descriptor[descriptor].read()
        spent, cpu = time.perf_counter() - began, cpu_seconds(process.pid) - cpu
        for client in clients:
            client.policy.close()
        process.join()
    times = sorted(time for client in clients for time in client.times)
    rate, p50, p99 = len(times) / spent, times[len(times) // 2], times[len(times) * 99 // 100]
    print(f"{rate:.0f} requests/s, {cpu / len(times) * 1e6:.1f} us of server CPU a request")
    print(f"p50 {p50 * 1e3:.2f} ms, p99 {p99 * 1e3:.2f} ms, {options.clients} clients")


def cpu_seconds(pid: int | None) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
