"""What the kernel knows of processes: CPU seconds, memory, and who is whose child."""

from __future__ import annotations

import os
import platform
import subprocess
import time
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


_PACKAGES = (
    "opendkim", "opendmarc", "dkimpy-milter", "postfix-policyd-spf-python", "postgrey", "postfix",
    "redis-server", "unbound", "libmilter1.0.1",
)  # fmt: skip


def description() -> dict[str, str]:
    """What a reader of figures has to know of the machine, and which versions were measured."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    found = {
        "date": time.strftime("%Y-%m-%d"),
        "processor": f"{model}, {cores()} cores",
        "kernel": platform.release(),
        "python": platform.python_version(),
    }
    for package in _PACKAGES:
        done = subprocess.run(
            ["dpkg-query", "--show", "--showformat=${Version}", package],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode == 0 and done.stdout:
            found[package] = done.stdout
    return found
