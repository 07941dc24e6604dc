"""A service in a process of its own, with a daemon that answers lines; and ways to wait for things."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import yaml
from prometheus_client import Metric

from gatepost.config.errors import ConfigError, Problem
from gatepost.config.settings import Config
from gatepost.log import Logger
from gatepost.metrics import Metrics
from gatepost.service.daemon import ServiceError
from gatepost.service.supervisor import Supervisor, Timing
from tests.harness import waiting
from tests.harness.ports import free_port
from tests.harness.waiting import PATIENCE

QUICK = Timing(heartbeat=0.05, unhealthy=0.5, hung=60.0, start=5.0, margin=1.0, quit=0.5, watch=0.05)

T = TypeVar("T")


def wait_for(condition: Callable[[], T], what: str = "waited in vain") -> T:
    """What *condition* gives, as soon as that is true."""
    return waiting.wait_for(condition, what)


class EchoWorker:
    """Answers each line with the greeting, its pid and the line.

    ``wait PATH`` is answered once PATH is there; ``hang`` blocks the event loop for good.
    The greeting "stays" has it stay until it is told to hurry, "dies" ends it at the start.
    """

    def __init__(self, greeting: str, metrics: Metrics) -> None:
        self._greeting = greeting
        self._metrics = metrics
        self._servers: list[asyncio.Server] = []
        self._busy: set[asyncio.Task[None]] = set()

    async def start(self, sockets: Sequence[socket.socket]) -> None:
        if self._greeting == "dies":
            raise RuntimeError("cannot start")
        for listening in sockets:
            if listening.family == socket.AF_UNIX:
                self._servers.append(await asyncio.start_unix_server(self._serve, sock=listening))
            else:
                self._servers.append(await asyncio.start_server(self._serve, sock=listening))

    def close(self) -> None:
        for server in self._servers:
            server.close()

    async def stop(self, grace: float, hurry: asyncio.Event | None = None) -> None:
        self.close()
        if self._greeting == "stays" and hurry is not None:
            await hurry.wait()
        if self._busy:
            await asyncio.wait(self._busy, timeout=grace)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._metrics.connections.inc()
        try:
            while line := (await reader.readline()).decode().strip():
                task = asyncio.ensure_future(self._answer(line, writer))
                self._busy.add(task)
                await task
                self._busy.discard(task)
        finally:
            self._metrics.connections.dec()
            writer.close()

    async def _answer(self, line: str, writer: asyncio.StreamWriter) -> None:
        if line.startswith("wait "):
            while not os.path.exists(line[5:]):  # noqa: ASYNC110, ASYNC240 -- another process makes it
                await asyncio.sleep(0.01)
        if line == "hang":
            time.sleep(1000)  # noqa: ASYNC251 -- that is the point
        self._metrics.verdict("accept").inc()
        writer.write(f"{self._greeting} {os.getpid()} {line}\n".encode())
        await writer.drain()


class Echo:
    def __init__(self, greeting: str, watched: Sequence[Path]) -> None:
        self.name = "echo"
        self._greeting = greeting
        self._watched = watched

    def collect(self) -> Sequence[Metric]:
        return ()

    def watched_files(self) -> Sequence[Path]:
        return self._watched

    def worker(self, log: Logger, metrics: Metrics) -> EchoWorker:
        return EchoWorker(self._greeting, metrics)


def load(file: Path) -> Config:
    """Read a configuration; "greeting" in ``key_table`` names the file with the greeting."""
    try:
        options = yaml.safe_load(file.read_text())
        return Config.model_validate({"authserv_id": "mail.example.nl", "daemons": {"echo": options}})
    except Exception as error:
        text = str(error).splitlines()
        raise ConfigError([Problem(str(file), 1, 1, "", line) for line in text]) from error


def build(config: Config) -> Echo:
    file = Path(config.seal_secret.parent, "greeting")
    greeting = file.read_text()
    if greeting == "broken":
        raise ConfigError(
            [Problem("greeting", 1, 1, "", "is broken"), Problem("greeting", 2, 1, "", "twice")]
        )
    return Echo(greeting, [file])


@dataclass
class Connection:
    """One connection to the echo daemon."""

    socket: socket.socket

    def send(self, line: str) -> None:
        self.socket.sendall(line.encode() + b"\n")

    def receive(self) -> list[str]:
        data = b""
        while not data.endswith(b"\n"):
            more = self.socket.recv(4096)
            if not more:
                return []
            data += more
        return data.decode().split()

    def ask(self, line: str) -> list[str]:
        self.send(line)
        return self.receive()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()


@dataclass
class Service:
    """A forked process that runs the supervisor, with its files in *directory*."""

    directory: Path
    options: dict[str, Any] = field(default_factory=dict)
    greeting: str = "hello"
    timing: Timing = QUICK
    environment: dict[str, str] = field(default_factory=dict)
    passed: Sequence[socket.socket] = ()
    pid: int = 0

    def __post_init__(self) -> None:
        self.port = free_port()
        self.metrics_port = free_port()
        self.config = self.directory / "gatepost.yaml"
        self.log_file = self.directory / "log"
        self.options = {
            "kind": "dkim-verify",
            "socket": f"inet:{self.port}@127.0.0.1",
            "metrics": f"127.0.0.1:{self.metrics_port}",
            "workers": 2,
            "drain_timeout": 5,
            **self.options,
        }
        self.configure()
        self.greet(self.greeting)

    def configure(self, **options: Any) -> None:
        self.options |= options
        self.config.write_text(yaml.safe_dump(self.options))

    def greet(self, greeting: str) -> None:
        (self.directory / "greeting").write_text(greeting)

    def launch(self) -> Self:
        self.pid = os.fork()
        if self.pid == 0:
            self._become()
        return self

    def _become(self) -> None:
        status = 99
        try:
            os.setsid()
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(number, signal.SIG_DFL)
            log = os.open(self.log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(log, 2)
            sys.stderr = os.fdopen(log, "w")
            environment = {"RUNTIME_DIRECTORY": str(self.directory), **self.environment}
            if self.passed:
                # Their descriptors may be among the targets, so first out of the way.
                spare = [os.dup2(passed.fileno(), 200 + i) for i, passed in enumerate(self.passed)]
                for target, descriptor in enumerate(spare, 3):
                    os.dup2(descriptor, target)
                    os.close(descriptor)
                environment |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(self.passed))}

            def read() -> Config:
                config = load(self.config)
                return config.model_copy(update={"seal_secret": self.directory / "seal.key"})

            try:
                status = Supervisor("echo", read, build, environment, self.timing).run()
            except ConfigError as error:
                os.write(2, f"{error}\n".encode())
                status = 78
            except ServiceError as error:
                os.write(2, f"{error}\n".encode())
                status = 1
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)

    def start(self) -> Self:
        self.launch()
        self.wait_log("ready")
        return self

    def log(self) -> str:
        return self.log_file.read_text() if self.log_file.exists() else ""

    def wait_log(self, text: str, times: int = 1) -> None:
        def there() -> bool:
            assert self.alive() or self.log().count(text) >= times, self.log()
            return self.log().count(text) >= times

        wait_for(there, f"no {text!r} in the log")

    def alive(self) -> bool:
        if self.pid == 0:
            return False
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid:
            self.pid, self.status = 0, os.waitstatus_to_exitcode(status)
        return self.pid != 0

    def ended(self) -> int:
        """Wait for the end and give the exit status."""
        wait_for(lambda: not self.alive(), "does not end")
        return self.status

    def kill(self, number: int) -> None:
        os.kill(self.pid, number)

    def connect(self, path: str | None = None) -> Connection:
        connection = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
        connection.settimeout(PATIENCE)
        try:
            connection.connect(path or ("127.0.0.1", self.port))
        except OSError:
            connection.close()
            raise
        return Connection(connection)

    def ask(self, line: str = "x", path: str | None = None) -> list[str]:
        with self.connect(path) as connection:
            return connection.ask(line)

    def both(self) -> set[int]:
        """The pids of two workers, learnt by asking until both have answered."""
        pids: set[int] = set()

        def more() -> bool:
            pids.add(int(self.ask()[1]))
            return len(pids) == 2

        wait_for(more)
        return pids

    def pids(self) -> set[int]:
        """The pids of all workers there are, old ones included."""
        return {worker["pid"] for worker in json.loads(self.page("/healthz")[2])["workers"]}

    def page(self, path: str, accept: str = "") -> tuple[int, str, str]:
        request = Request(f"http://127.0.0.1:{self.metrics_port}{path}", headers={"Accept": accept})
        try:
            with urlopen(request, timeout=PATIENCE) as response:
                return response.status, response.headers["Content-Type"], response.read().decode()
        except HTTPError as error:
            with error:
                return error.code, error.headers["Content-Type"], error.read().decode()

    def metric(self, sample: str) -> float | None:
        for line in self.page("/metrics")[2].splitlines():
            if line.startswith(sample + " "):
                return float(line.rpartition(" ")[2])
        return None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self.alive():
            group = self.pid
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)  # a session of its own, so these are all ours
            self.ended()


Make = Callable[..., Service]
"""Makes a service with the options given, which ends with the test."""
