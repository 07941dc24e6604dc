"""Our own daemons, started as an administrator starts them: ``gatepost run NAME``."""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
import threading
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import yaml

from tests.harness.ports import LOOPBACK, free_port
from tests.harness.process import Process
from tests.harness.waiting import wait_for

_SAMPLE = re.compile(r"(?m)^([a-zA-Z_:][^\s{]*(?:\{[^}\n]*\})?)\s+(\S+)")


class Notifications:
    """The socket that NOTIFY_SOCKET names (sd_notify(3)): keeps what the daemon says of itself."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
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
        self._thread.join(5)
        self._socket.close()
        self.path.unlink(missing_ok=True)


class Daemon:
    """One running ``gatepost run NAME``, as a context manager.

    *options* is the daemon's own section; its socket and metrics address are
    free ports unless given there. *common* is the rest of the file. The
    directory holds gatepost.yaml and the log; the seal's secret lies there
    too, so daemons in one directory believe each other.
    """

    def __init__(
        self,
        directory: Path,
        name: str,
        options: Mapping[str, Any] | None = None,
        *,
        common: Mapping[str, Any] | None = None,
        arguments: Sequence[str] = (),
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.name = name
        self.port, self.metrics_port = free_port(), free_port()
        self.milter = f"inet:{LOOPBACK}:{self.port}"
        self.file = directory / f"{name}.yaml"
        self._common = {
            "authserv_id": "mail.example.nl",
            "seal_secret": str(directory / "seal.key"),
            **(common or {}),
        }
        self._fixed = {
            "socket": f"inet:{self.port}@{LOOPBACK}",
            "metrics": f"{LOOPBACK}:{self.metrics_port}",
        }
        self.configure(options or {})
        self._notifications = Path(f"{self.file}.notify")
        self._told: Notifications | None = None
        self._process = Process(
            [sys.executable, "-m", "gatepost", "run", name, "--config", str(self.file), *arguments],
            directory / f"{name}.log",
            ready=self._ready,
            environment={**os.environ, "NOTIFY_SOCKET": str(self._notifications)},
        )

    def configure(self, options: Mapping[str, Any]) -> None:
        """Write the configuration with other options for this daemon; reload() makes it effective."""
        section = {**self._fixed, **options}
        self.file.write_text(yaml.safe_dump({**self._common, "daemons": {self.name: section}}))

    def _ready(self) -> bool:
        return self._told is not None and self._told.count("READY=1") > 0

    @property
    def told(self) -> Notifications:
        """What the daemon has told its supervisor."""
        if self._told is None:
            raise RuntimeError(f"{self.name} is not running")
        return self._told

    @property
    def process(self) -> Process:
        """The process itself."""
        return self._process

    def start(self) -> Self:
        """Start the daemon and wait for its READY=1."""
        self._told = Notifications(self._notifications)
        try:
            self._process.start()
        except BaseException:
            self.stop()
            raise
        return self

    def reload(self, timeout: float = 15.0) -> None:
        """Have it read the configuration again (SIGHUP), and wait until it is ready once more."""
        before = self.told.count("READY=1")
        self._process.signal(signal.SIGHUP)
        wait_for(lambda: self.told.count("READY=1") > before, f"reload of {self.name}", timeout)

    def log(self) -> str:
        """All that it has written to standard error."""
        return self._process.output()

    def metrics(self) -> dict[str, float]:
        """The samples of /metrics, by name with labels as printed: ``gatepost_messages_total{...}``."""
        with urllib.request.urlopen(f"http://{LOOPBACK}:{self.metrics_port}/metrics", timeout=10) as page:
            text = page.read().decode()
        return {sample: float(value) for sample, value in _SAMPLE.findall(text)}

    def stop(self) -> int | None:
        """Stop it by SIGTERM and return its exit status."""
        status = self._process.stop(timeout=40)
        if self._told is not None:
            self._told.close()
            self._told = None
        return status

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
