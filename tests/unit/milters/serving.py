"""Engines to talk to: the asyncio one on a loop in a thread, the libmilter one in a process."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import uvloop

from gatepost.config.sections import Limits
from gatepost.service.acceptor import Acceptor
from milters.server import MilterWorker
from tests.harness.milter_client import Address
from tests.harness.waiting import PATIENCE, wait_for


class Log:
    """Keeps what the engine writes."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, dict[str, object]]] = []

    def event(self, level: str, message: str, /, **fields: object) -> None:
        self.lines.append((level, message, fields))

    def failure(self, message: str, error: BaseException, /, **fields: object) -> None:
        self.lines.append(("error", message, fields | {"error": repr(error)}))

    def count(self, level: str) -> int:
        return sum(1 for line in self.lines if line[0] == level)


class Number:
    def __init__(self) -> None:
        self.value = 0
        self.observed: list[float] = []

    def inc(self) -> None:
        self.value += 1

    def dec(self) -> None:
        self.value -= 1

    def observe(self, amount: float, /) -> None:
        self.observed.append(amount)


class Metrics:
    def __init__(self) -> None:
        self.connections = Number()
        self.message_seconds = Number()
        self.errors: list[str] = []

    def error(self, kind: str) -> None:
        self.errors.append(kind)


def wait_until(condition: Callable[[], object]) -> None:
    """Wait for *condition*; fails when it does not come about."""
    wait_for(condition, "what this test waits for")


class Server:
    """The asyncio engine with *handler*, on a unix socket (*path*) or a free TCP port of 127.0.0.1."""

    make: Callable[..., Acceptor] = MilterWorker

    def __init__(self, handler: Any, path: Path | None = None, **options: Any) -> None:
        self.handler = handler
        self.log = Log()
        self.metrics = Metrics()
        self._options = {"limits": Limits(), "log": self.log, "metrics": self.metrics, **options}
        self.address: Address
        if path is None:
            self.listener = socket.create_server(("127.0.0.1", 0))
            self.address = self.listener.getsockname()[:2]
        else:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(str(path))
            self.listener.listen()
            self.address = str(path)
        self.problems: list[dict[str, Any]] = []
        self._started = threading.Event()
        self._thread = threading.Thread(target=uvloop.run, args=(self._run(),))

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._started.wait(PATIENCE)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop(0)
        assert not self.problems

    async def _run(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.loop.set_exception_handler(lambda _loop, context: self.problems.append(context))
        self._end = asyncio.Event()
        self.worker = self.make(self.handler, **self._options)
        await self.worker.start([self.listener])
        self._started.set()
        await self._end.wait()

    def begin_stop(self, grace: float, hurry: asyncio.Event | None = None) -> Any:
        return asyncio.run_coroutine_threadsafe(self.worker.stop(grace, hurry), self.loop)

    def stop(self, grace: float) -> None:
        if self._thread.is_alive():
            self.begin_stop(grace).result(PATIENCE)
            self.loop.call_soon_threadsafe(self._end.set)
            self._thread.join(PATIENCE)


@contextlib.contextmanager
def libmilter_process(family: int, path: Path, *arguments: str) -> Iterator[tuple[Address, Any]]:
    """The libmilter engine with a scripted daemon, in a process that ends when its standard input does."""
    address: Address
    if family == socket.AF_UNIX:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.listen()
        address = str(path)
    else:
        listener = socket.create_server(("127.0.0.1", 0))
        address = listener.getsockname()[:2]
    program = [
        sys.executable,
        "-m",
        "tests.unit.milters.libmilter_process",
        str(listener.fileno()),
        *arguments,
    ]
    process = subprocess.Popen(
        program,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        pass_fds=[listener.fileno()],
        cwd=Path(__file__).parents[3],
    )
    assert process.stdin is not None
    assert process.stdout is not None
    listener.close()
    try:
        assert process.stdout.readline() == b"ready\n"
        yield address, process
    finally:
        process.stdin.close()
        try:
            process.wait(PATIENCE)
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
