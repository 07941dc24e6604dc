"""A disk that can be full."""

from __future__ import annotations

import resource
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

_OURSELVES = 0


class Disk:
    """A file system of 2 MB at *place*; without the right to mount one, a limit on the size of files does the same."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self._mounted = False
        self._limits: dict[int, tuple[int, int]] = {}

    def fill(self, processes: Sequence[int] = (_OURSELVES,)) -> None:
        """Leave no room for the *processes* with these ids."""
        if not self._mounted:
            for pid in processes:
                limits = resource.prlimit(pid, resource.RLIMIT_FSIZE)
                self._limits[pid] = limits
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (64 * 1024, limits[1]))
            return
        with (self.place / "ballast").open("wb", buffering=0) as file, suppress(OSError):
            while file.write(bytes(4096)):
                pass

    def make_room(self) -> None:
        """There is room again."""
        for pid, limits in self._limits.items():
            with suppress(ProcessLookupError):
                resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)
        self._limits.clear()
        (self.place / "ballast").unlink(missing_ok=True)

    def __enter__(self) -> Self:
        self.place.mkdir()
        self._former = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(self.place)]
        self._mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.make_room()
        signal.signal(signal.SIGXFSZ, self._former)
        if self._mounted:
            subprocess.run(["umount", "--lazy", str(self.place)], check=True)
