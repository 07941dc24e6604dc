"""What a run of the tests has left behind: files elsewhere, temporary files, processes.

All temporary files of a run lie in one directory, which TMPDIR names. Every
process that a test starts inherits that name in its environment, and is known
by it however far it has come from us.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.harness.waiting import PATIENCE, wait_for

FOREIGN = (Path("/var/lib/gatepost"), Path("/run/gatepost"), Path("/etc/gatepost"))
"""Where an installed gatepost keeps its things."""

State = Mapping[Path, tuple[int, int]]


class Leftovers:
    """Watches a run from now on, until ``found`` tells what it left; ``close`` ends the watch in any case.

    Makes ``directory`` for all temporary files, and sets TMPDIR to it; ``close`` takes both back.
    """

    def __init__(self, foreign: Iterable[Path] = FOREIGN) -> None:
        self._foreign = tuple(foreign)
        self._before = state(self._foreign)
        self._usual = os.environ.get("TMPDIR")
        self.directory = Path(tempfile.mkdtemp(prefix="gp-"))  # short: unix sockets lie below it
        self.directory.chmod(0o1777)  # as /tmp: Postfix and the daemons are other users
        self._use(str(self.directory))

    def found(self, patience: float = PATIENCE) -> list[str]:
        """A line for each thing that is left. Processes have *patience* seconds to end."""
        left = [f"{path} was changed" for path in changed(self._before, state(self._foreign))]
        try:
            wait_for(lambda: not self._processes(), "the end of all processes", patience)
        except TimeoutError:
            left += [f"process {process} still runs" for process in self._processes()]
        return left + [f"{path} is left" for path in sorted(self.directory.iterdir())]

    def close(self) -> None:
        """Remove the directory."""
        shutil.rmtree(self.directory, ignore_errors=True)
        self._use(self._usual)

    def _processes(self) -> list[str]:
        found = processes(os.fsencode(self.directory))
        return [f"{number} ({command})" for number, command in found if number != os.getpid()]

    @staticmethod
    def _use(directory: str | None) -> None:
        if directory is None:
            os.environ.pop("TMPDIR", None)
        else:
            os.environ["TMPDIR"] = directory
        tempfile.tempdir = None  # where the module keeps what TMPDIR said


def state(directories: Iterable[Path]) -> State:
    """Every file and directory there, with its time of change (in ns) and its size."""
    found = {}
    for directory in directories:
        for path in (directory, *directory.rglob("*")):
            try:
                status = path.lstat()
            except OSError:
                continue
            found[path] = (status.st_mtime_ns, status.st_size)
    return found


def changed(before: State, after: State) -> list[Path]:
    """What came, went or changed."""
    return sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))


def processes(mark: bytes) -> list[tuple[int, str]]:
    """The processes that were started with *mark* in their environment: number and command line."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if mark in (entry / "environ").read_bytes():
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
                found.append((int(entry.name), command.strip()))
        except OSError:
            continue  # gone, or another user's
    return found
