"""This tree: where it is, which version, and of when."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
DIST = ROOT / "dist"
"""Where finished packages go."""
WORK = ROOT / "build" / "packages"
"""Where they are made; it may be removed at any time."""
HERE = Path(__file__).parent


class PackagingError(Exception):
    """It cannot be made. The text says why, in one line."""


def version() -> str:
    """The version that ``gatepost version`` tells."""
    found = re.search(r'(?m)^__version__ = "([^"]+)"$', (ROOT / "gatepost" / "__init__.py").read_text())
    assert found is not None
    return found[1]


@cache
def epoch() -> int:
    """The second since 1970 that everything in a package is dated to.

    It is SOURCE_DATE_EPOCH where that is set; the last commit; or, without a
    repository, the change log's date: the same tree gives the same octets.
    """
    if "SOURCE_DATE_EPOCH" in os.environ:
        return int(os.environ["SOURCE_DATE_EPOCH"])
    if (ROOT / ".git").exists():
        # The directory may be another user's, which git takes for a trap.
        command = ["git", "-c", f"safe.directory={ROOT}", "-C", str(ROOT), "log", "-1", "--format=%ct"]
        told = subprocess.run(command, capture_output=True, text=True, check=False)
        if told.returncode == 0 and told.stdout.strip():
            return int(told.stdout)
    return int((ROOT / "CHANGELOG.md").stat().st_mtime)


def environment() -> Mapping[str, str]:
    """That of the programs that make packages."""
    return {**os.environ, "SOURCE_DATE_EPOCH": str(epoch()), "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def run(*command: str | Path, cwd: Path = ROOT) -> str:
    """Run a program and give what it prints. Raises PackagingError with what it complained of."""
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=cwd, env=environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        sys.stderr.write(done.stdout + done.stderr)
        raise PackagingError(f"{words[0]} ended with status {done.returncode}: {' '.join(words)}")
    return done.stdout
