"""How many messages a second the asyncio engine takes through a handler that does next to nothing.

    .venv/bin/python bench/engine.py [--tcp] [--clients 8] [--seconds 5] [--profile FILE]

The server is a process of its own, and so are the clients, which write a
message in two writes as Postfix does. Each message has 20 header fields and a
body of 4 kB, and gets one header field inserted.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import multiprocessing
import os
import selectors
import socket
import sys
import tempfile
import time
from pathlib import Path

import uvloop

sys.path.insert(0, str(Path(__file__).parents[1]))

from gatepost.config.sections import Limits
from gatepost.log import Logger
from gatepost.message import Message
from milters.handler import InsertHeader, Needs, Step, Verdict
from milters.server import MilterWorker
from tests.harness.milter_client import Address, Mail, MilterClient

VERDICT = Verdict(changes=(InsertHeader(b"Authentication-Results", b"mx.example.org; none"),))
MAIL = Mail(
    headers=[
        (b"X-Header-%d" % n, b" some words of a usual length, to fill the line %d" % n) for n in range(20)
    ],
    body=b"A line of text with some words in it, as long as they are.\r\n" * 68,
)


class Examination:
    def body(self, chunk: bytes) -> bool:
        return True

    def finish(self) -> Verdict:
        return VERDICT

    def cancel(self) -> None:
        pass


class Handler:
    name = "bench"
    needs = Needs(
        steps=Step.CONNECT | Step.HELO | Step.MAIL | Step.RCPT | Step.HEADERS | Step.BODY,
        macros={"mail": ("auth_authen",), "eom": ("i",)},
    )

    def examine(self, message: Message) -> Examination:
        return Examination()


async def serve(listener: socket.socket, seconds: float) -> None:
    worker = MilterWorker(Handler(), limits=Limits(), log=Logger(daemon="bench"))
    await worker.start([listener])
    await asyncio.sleep(seconds)
    await worker.stop(0)


def server(listener: socket.socket, seconds: float, profile: str) -> None:
    if profile:
        profiler = cProfile.Profile()
        profiler.enable()
    uvloop.run(serve(listener, seconds))
    if profile:
        profiler.disable()
        profiler.dump_stats(profile)


class Client:
    """One connection, always with a message under way."""

    def __init__(self, address: Address) -> None:
        self.milter = MilterClient(address)
        self.milter.send(MAIL)
        steps = self.milter.script.steps(MAIL, new_session=False)
        self.envelope = b"".join(data for stage, data, _ in steps if stage in ("mail", "rcpt", "data"))
        self.message = b"".join(data for stage, data, _ in steps if stage in ("header", "eoh", "body", "eom"))
        self.times: list[float] = []
        self.begin()

    def begin(self) -> None:
        self.started = time.perf_counter()
        if self.envelope:
            self.milter.socket.send(self.envelope)
        self.milter.socket.sendall(self.message)

    def read(self) -> None:
        if self.milter.socket.recv(65536).endswith(b"\0\0\0\1a"):
            self.times.append(time.perf_counter() - self.started)
            self.begin()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tcp", action="store_true")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--profile", default="")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        address: Address
        if options.tcp:
            listener = socket.create_server(("127.0.0.1", 0), backlog=128)
            address = listener.getsockname()[:2]
        else:
            address = f"{directory}/milter"
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(address)
            listener.listen(128)
        process = multiprocessing.get_context("fork").Process(
            target=server, args=(listener, options.seconds + 1.5, options.profile)
        )
        process.start()
        listener.close()
        clients = [Client(address) for _ in range(options.clients)]
        selector = selectors.DefaultSelector()
        for client in clients:
            selector.register(client.milter.socket, selectors.EVENT_READ, client)
        began, cpu = time.perf_counter(), cpu_seconds(process.pid)
        while time.perf_counter() - began < options.seconds:
            for key, _ in selector.select(1):
                key.data.read()
        spent, cpu = time.perf_counter() - began, cpu_seconds(process.pid) - cpu
        for client in clients:
            client.milter.close()
        process.join()
    times = sorted(time for client in clients for time in client.times)
    rate, p50, p99 = len(times) / spent, times[len(times) // 2], times[len(times) * 99 // 100]
    print(f"{rate:.0f} messages/s, {cpu / len(times) * 1e6:.0f} us of server CPU a message")
    print(f"p50 {p50 * 1e3:.2f} ms, p99 {p99 * 1e3:.2f} ms, {options.clients} clients")


def cpu_seconds(pid: int | None) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
