"""What the daemons take of the machine: memory and descriptors, with all their processes."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import NamedTuple

import psutil

from tests.harness.daemon import Daemon
from tests.soak.site import WORKERS, processes

MEMORY_MARGIN = 4 * 2**20 * (WORKERS + 1)
"""Octets by which a daemon may be larger at the end of the quiet time than at its beginning: 4 MB a process."""
DESCRIPTOR_MARGIN = 2 * WORKERS
"""Descriptors that a daemon may have open at the end beyond those after the first mails: to its store and the DNS."""


class Reading(NamedTuple):
    """One daemon at one moment: proportional set size in octets, and open descriptors."""

    memory: int
    descriptors: int


def read(daemons: Iterable[Daemon]) -> dict[str, Reading]:
    """What each daemon takes now."""
    return {daemon.name: _reading(daemon) for daemon in daemons}


def _reading(daemon: Daemon) -> Reading:
    memory = descriptors = 0
    for process in processes(daemon):
        with suppress(psutil.NoSuchProcess):
            memory += process.memory_full_info().pss
            descriptors += process.num_fds()
    return Reading(memory, descriptors)
