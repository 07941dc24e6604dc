"""Noticing that a file has changed which was read when the daemon was built."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

_Look = dict[Path, tuple[int, int, int] | None]


def _look(files: Iterable[Path]) -> _Look:
    seen: _Look = {}
    for file in files:
        try:
            status = os.stat(file)
        except OSError:  # gone, or out of reach: that is a change as well
            seen[file] = None
        else:
            seen[file] = (status.st_mtime_ns, status.st_size, status.st_ino)
    return seen


class Watch:
    """Looks at files from time to time; a change counts once it has settled.

    A file that is being written looks different at each look, so only a
    change that is the same at two looks is reported.
    """

    def __init__(self, files: Iterable[Path]) -> None:
        self._settled = _look(files)
        self._latest = self._settled

    def changed(self) -> list[Path]:
        """Look again. The files that changed, none while there is nothing new or it still moves."""
        now = _look(self._settled)
        before, self._latest = self._latest, now
        if now == self._settled or now != before:
            return []
        changed = [file for file in now if now[file] != self._settled[file]]
        self._settled = now
        return changed
