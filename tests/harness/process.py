"""A child process whose output is kept, and which never outlives the test."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

from tests.harness.lasting import Startable
from tests.harness.waiting import PATIENCE, wait_for

# The kernel ends the child when the one that started it is gone, however it went.
_TIED = ("setpriv", "--pdeathsig", "TERM", "--")


class Process(Startable):
    """One program, in a session of its own, with standard output and error in one file.

    ``ready`` is asked after the start until it is true; a program that ends
    before that raises RuntimeError with what it wrote. ``command`` and
    ``environment`` may be changed before the start; ``descriptors`` are then
    handed over as they are.
    """

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        *,
        ready: Callable[[], bool],
        environment: Mapping[str, str] | None = None,
        timeout: float = PATIENCE,
    ) -> None:
        self.command = list(command)
        self.descriptors: tuple[int, ...] = ()
        self.log_file = log
        self._ready = ready
        self.environment = dict(os.environ if environment is None else environment)
        self._timeout = timeout
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Start the program and wait until it is ready."""
        with self.log_file.open("ab") as log:
            self._child = subprocess.Popen(
                [*_TIED, *self.command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.environment,
                start_new_session=True,
                pass_fds=self.descriptors,
            )
        try:
            wait_for(self._started, f"start of {self.command[0]}", self._timeout)
        except BaseException:
            self.stop()
            raise
        return self

    def _started(self) -> bool:
        if self._child is None or self._child.poll() is not None:
            status = "never started" if self._child is None else f"ended with status {self._child.returncode}"
            raise RuntimeError(f"{' '.join(self.command)} {status}:\n{self.output()}")
        return self._ready()

    @property
    def pid(self) -> int:
        """The process id of the running program."""
        if self._child is None:
            raise RuntimeError(f"{self.command[0]} is not running")
        return self._child.pid

    @property
    def status(self) -> int | None:
        """The exit status (negative: a signal), or None while it runs."""
        return None if self._child is None else self._child.poll()

    def output(self) -> str:
        """All that the program has written so far."""
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the program itself, not to its children."""
        if self._child is not None:
            self._child.send_signal(number)

    def wait(self, timeout: float = PATIENCE) -> int:
        """Wait until the program ends by itself and return its exit status."""
        if self._child is None:
            raise RuntimeError(f"{self.command[0]} is not running")
        return self._child.wait(timeout)

    def stop(self, timeout: float = PATIENCE) -> int | None:
        """End the program: SIGTERM first, SIGKILL when that does not help. Returns its exit status."""
        child = self._child
        if child is None:
            return None
        if child.poll() is None:
            child.terminate()
            try:
                child.wait(timeout)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        return child.returncode
