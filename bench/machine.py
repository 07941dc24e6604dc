"""What the kernel knows of processes: CPU seconds, memory, and who is whose child."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def cores() -> int:
    """How many CPUs this process may use."""
    return len(os.sched_getaffinity(0))


def tree(pids: Iterable[int]) -> list[int]:
    """These processes and all below them that live now."""
    found = []
    for pid in pids:
        if Path(f"/proc/{pid}").exists():
            found.append(pid)
        for task in Path(f"/proc/{pid}/task").glob("*/children"):
            try:
                found += tree(int(child) for child in task.read_text().split())
            except OSError:
                pass  # that thread has just ended
    return found


def tree_cpu_seconds(pids: Iterable[int]) -> float:
    """CPU seconds of these processes, of all below them, and of children of theirs that have ended."""
    ticks = 0
    for pid in tree(pids):
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has just ended
        ticks += sum(int(field) for field in fields[11:15])
    return ticks / _TICKS


def tree_memory(pids: Iterable[int]) -> int:
    """Octets of memory of these processes and all below them, shared pages in equal parts (PSS)."""
    octets = 0
    for pid in tree(pids):
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        octets += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    return octets
