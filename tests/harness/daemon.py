"""Our own daemons, started as an administrator starts them: ``gatepost run NAME``."""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
import threading
import urllib.request
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import yaml

from tests.harness.lasting import Startable
from tests.harness.ports import LOOPBACK, free_port
from tests.harness.process import Process
from tests.harness.together import Together
from tests.harness.waiting import PATIENCE, wait_for

_SAMPLE = re.compile(r"(?m)^([a-zA-Z_:][^\s{]*(?:\{[^}\n]*\})?)\s+(\S+)")


class Notifications:
    """The socket that NOTIFY_SOCKET names (sd_notify(3)): keeps what the daemon says of itself."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            self._socket.bind(str(path))
        except OSError:
            self._socket.close()
            raise
        path.chmod(0o666)
        self._seen: list[str] = []
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        while datagram := self._socket.recv(4096):
            self._seen += datagram.decode("utf-8", "replace").splitlines()

    def count(self, assignment: str) -> int:
        """How often *assignment* (as in "READY=1") has been said so far."""
        return self._seen.count(assignment)

    def last(self, name: str) -> str:
        """The latest value of the variable *name*, or ""."""
        values = [line.partition("=")[2] for line in list(self._seen) if line.startswith(f"{name}=")]
        return values[-1] if values else ""

    def close(self) -> None:
        """Stop listening."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.sendto(b"", str(self.path))
        self._thread.join(PATIENCE)
        self._socket.close()
        self.path.unlink(missing_ok=True)


class Daemon(Startable):
    """One ``gatepost run NAME`` on the configuration *file*, as a context manager.

    ``file`` is its configuration, ``milter`` its default socket as Postfix writes it. Made by Installation.
    """

    def __init__(self, name: str, file: Path) -> None:
        self.name = name
        self.file = file
        self.port, self.metrics_port = free_port(), free_port()
        self.milter = f"inet:{LOOPBACK}:{self.port}"
        notifications = file.with_name(f"{name}.notify")
        self._notifications = notifications
        self._told: Notifications | None = None
        self.process = Process(
            [sys.executable, "-m", "gatepost", "run", name, "--config", str(file)],
            file.with_name(f"{name}.log"),
            ready=lambda: self.told.count("READY=1") > 0,
            environment={**os.environ, "NOTIFY_SOCKET": str(notifications)},
        )

    @property
    def addresses(self) -> dict[str, str]:
        """The options that say where it listens."""
        return {
            "socket": f"inet:{self.port}@{LOOPBACK}",
            "metrics": f"{LOOPBACK}:{self.metrics_port}",
        }

    @property
    def told(self) -> Notifications:
        """What the daemon has told its supervisor."""
        if self._told is None:
            raise RuntimeError(f"{self.name} is not running")
        return self._told

    def start(self) -> Self:
        """Start the daemon and wait for its READY=1. Raises RuntimeError, with its log, when it ends instead."""
        self._told = Notifications(self._notifications)
        try:
            self.process.start()
        except BaseException:
            self.stop()
            raise
        return self

    def reload(self, timeout: float = PATIENCE) -> None:
        """Have it read the configuration again (SIGHUP), and wait until it is ready once more."""
        before = self.told.count("READY=1")
        self.process.signal(signal.SIGHUP)
        wait_for(lambda: self.told.count("READY=1") > before, f"reload of {self.name}", timeout)

    def log(self) -> str:
        """All that it has written to standard error."""
        return self.process.output()

    def metrics(self) -> dict[str, float]:
        """The samples of /metrics, by name with labels as printed: ``gatepost_messages_total{...}``."""
        with urllib.request.urlopen(
            f"http://{LOOPBACK}:{self.metrics_port}/metrics", timeout=PATIENCE
        ) as page:
            return samples(page.read().decode())

    def stop(self) -> int | None:
        """Stop it by SIGTERM and return its exit status."""
        status = self.process.stop()
        if self._told is not None:
            self._told.close()
            self._told = None
        return status


class Installation(Together):
    """A directory with one gatepost.yaml, and the daemons that it names; all of them run in the ``with``.

    *daemons* maps names to their sections; sockets and metrics addresses are
    free ports unless given there. *common* is the rest of the file.
    """

    def __init__(
        self,
        directory: Path,
        daemons: Mapping[str, Mapping[str, Any]],
        common: Mapping[str, Any] | None = None,
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.file = directory / "gatepost.yaml"
        self._common = {
            "authserv_id": "mail.example.nl",
            "seal_secret": str(directory / "seal.key"),
            **(common or {}),
        }
        self._sections: dict[str, Mapping[str, Any]] = {}
        self.daemons = {name: Daemon(name, self.file) for name in daemons}
        self.configure(daemons)

    def __getitem__(self, name: str) -> Daemon:
        return self.daemons[name]

    def configure(self, daemons: Mapping[str, Mapping[str, Any]]) -> None:
        """Write other sections for the daemons named; their reload() makes them effective."""
        self._sections |= daemons
        written = {name: {**self[name].addresses, **options} for name, options in self._sections.items()}
        self.file.write_text(yaml.safe_dump({**self._common, "daemons": written}))

    def _start(self, starting: ExitStack) -> None:
        for daemon in self.daemons.values():
            starting.enter_context(daemon)


def samples(text: str) -> dict[str, float]:
    """The samples in Prometheus' text format, by name with labels as printed."""
    return {sample: float(value) for sample, value in _SAMPLE.findall(text)}
