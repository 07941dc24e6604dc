"""Where a mistake is made: a root directory and a loopback address of its own, so that paths and ports look real."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.harness.process import Process
from tests.harness.waiting import PATIENCE, wait_for

NOBODY = ("setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups", "--")
"""Starts a command as a user without rights, whom the page calls gatepost."""

_PREFIX = re.compile(r"^\S+ gatepost/[a-z0-9-]+\[\d+\]: (?:error: |warning: )?")
_addresses = (
    f"127.{81 + os.getpid() % 100}.{number // 250}.{1 + number % 250}" for number in itertools.count()
)


class Scene:
    """A host on which one thing is wrong. ``host`` is its loopback address, shown as 127.0.0.1."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.host = next(_addresses)
        self.file = self.path("/etc/gatepost/gatepost.yaml")
        self._hidden = {str(root): "", self.host: "127.0.0.1"}
        for directory in ("/var/lib/gatepost", "/run/gatepost", "/etc/gatepost/keys"):
            self.path(directory).mkdir(parents=True)

    def path(self, name: str) -> Path:
        """The file that the page calls *name*; its directory is made."""
        path = self.root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def configure(self, text: str, nameserver: str = "") -> None:
        """Write gatepost.yaml as the page would show it, with *nameserver* for NAMESERVER."""
        text = text.replace("127.0.0.1", self.host).replace("NAMESERVER", nameserver)
        text = re.sub(r"(?<![\w@./])/(?=(?:var|etc|run)/)", f"{self.root}/", text)
        self.file.write_text(
            f"authserv_id: mail.example.nl\nseal_secret: {self.root}/var/lib/gatepost/seal.key\n{text}"
        )

    def hide(self, real: object, shown: str) -> None:
        """Let *real* appear as *shown*."""
        self._hidden[str(real)] = shown

    def texts(self, output: str) -> list[str]:
        """The lines of *output* without time and process, as the page shows them."""
        for real, shown in self._hidden.items():
            output = output.replace(real, shown)
        return [_PREFIX.sub("", line) for line in output.splitlines()]

    def refuses(self, name: str = "dkim-verify", *, prefix: Sequence[str] = ()) -> list[str]:
        """What the daemon *name* says when it does not start."""
        done = subprocess.run(
            self._command(prefix, "run", name), capture_output=True, text=True, timeout=PATIENCE
        )
        assert done.returncode != 0, done.stderr
        return self.texts(done.stderr)

    def check(self, *arguments: str) -> list[str]:
        """What ``gatepost check`` says."""
        done = subprocess.run(
            self._command((), "check", *arguments), capture_output=True, text=True, timeout=PATIENCE
        )
        return self.texts(done.stdout + done.stderr)

    @contextmanager
    def running(
        self, name: str = "dkim-verify", *, prefix: Sequence[str] = (), descriptors: tuple[int, ...] = ()
    ) -> Iterator[Running]:
        """The daemon *name*, which starts, whatever is wrong."""
        log = self.root / f"{name}.log"
        process = Process(
            self._command(prefix, "run", name), log, ready=lambda: "ready address=" in log.read_text()
        )
        process.descriptors = descriptors
        with process:
            yield Running(self, process)

    def _command(self, prefix: Sequence[str], command: str, *arguments: str) -> list[str]:
        gatepost = [sys.executable, "-m", "gatepost", command, *arguments]
        return [*prefix, *gatepost, "--config", str(self.file)]


@dataclass
class Running:
    """A daemon that runs."""

    scene: Scene
    process: Process

    def says(self, words: str) -> list[str]:
        """All that it has said, as soon as *words* are among it."""
        wait_for(lambda: words in self.process.output(), f"{words!r} in the log")
        return self.scene.texts(self.process.output())


Mistake = Callable[[Scene], Sequence[str]]
"""Makes the mistake and gives the lines that are seen."""

MISTAKES: dict[str, Mistake] = {}
"""Each mistake, by the line that has to be seen."""


def gives(line: str) -> Callable[[Mistake], Mistake]:
    """Add a mistake that gives *line*, written as on the page."""

    def add(mistake: Mistake) -> Mistake:
        assert line not in MISTAKES, line
        MISTAKES[line] = mistake
        return mistake

    return add


def put(path: Path, content: bytes | str = b"", mode: int = 0o600) -> Path:
    """Write a file with the mode *mode*."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    path.chmod(mode)
    return path


def secret_of_nobody(scene: Scene) -> None:
    """Give the user without rights a seal's secret."""
    secret = put(scene.path("/var/lib/gatepost/seal.key"), b"x" * 32, 0o640)
    shutil.chown(secret, "nobody", "nogroup")


def changed(statement: str) -> list[str]:
    """What starts a daemon in a Python for which *statement* has been run: the host is another one."""
    start = "sys.argv = sys.argv[3:]; runpy.run_module('gatepost', None, '__main__', True)"
    program = f"import sys, runpy; {statement}; {start}"
    return [sys.executable, "-c", program]
