"""The libraries that go into Debian's package: which version, and which files are theirs.

``requirements.txt`` beside this module names each file by its SHA-256, for the
Pythons and processors below; pip takes no other.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from script.packages.tree import HERE, ROOT, PackagingError

LOCK = HERE / "requirements.txt"
BUILD = HERE / "build-requirements.txt"
EXTRA = "redis"
"""What of the optional libraries goes in: a greylist that several hosts share."""

TARGETS = [(python, machine) for python in ("3.11", "3.13") for machine in ("x86_64", "aarch64")]
"""Debian 12 and 13, on amd64 and arm64."""

_GLIBC = (34, 28, 17)
_HEAD = "# Made by `script/package lock`.\n"


def write_lock() -> None:
    """Look for the newest versions that fit, and write them down."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = [*project["project"]["dependencies"], *project["project"]["optional-dependencies"][EXTRA]]
    LOCK.write_text(_HEAD + "".join(_lines(wanted)))
    # What is on PyPI as a source alone is built by setuptools, and gatepost by hatchling.
    BUILD.write_text(_HEAD + "".join(_lines([*project["build-system"]["requires"], "setuptools", "wheel"])))


def names() -> list[str]:
    """The libraries of the lock, as their projects are called."""
    return [line.split("==")[0] for line in LOCK.read_text().splitlines() if "==" in line]


def _lines(wanted: Sequence[str]) -> Iterator[str]:
    versions: dict[str, str] = {}
    hashes: defaultdict[str, set[str]] = defaultdict(set)
    compiled = []
    for name, version, file, digest in _resolved(wanted):
        versions[name] = version
        hashes[name].add(digest)
        if file.endswith(".whl") and not file.endswith("-none-any.whl"):
            compiled.append(name)
    for python, machine in TARGETS if compiled else ():
        platforms = [f"--platform=manylinux_2_{minor}_{machine}" for minor in _GLIBC]
        options = [*platforms, f"--platform=manylinux2014_{machine}", f"--python-version={python}"]
        exactly = [f"{name}=={versions[name]}" for name in compiled]
        for name, _, _, digest in _resolved(["--no-deps", "--only-binary=:all:", *options, *exactly]):
            hashes[name].add(digest)
    for name in sorted(versions):
        digests = "".join(f" \\\n    --hash=sha256:{each}" for each in sorted(hashes[name]))
        yield f"{name}=={versions[name]}{digests}\n"


def _resolved(arguments: Sequence[str]) -> Iterator[tuple[str, str, str, str]]:
    """Name, version, file and SHA-256 of what pip would install."""
    with tempfile.TemporaryDirectory(prefix="gatepost-") as target:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"]
        command = [*pip, "--target", target, "--report", "-", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PackagingError(f"pip finds no set of libraries: {done.stderr.strip()}")
    report: dict[str, Any] = json.loads(done.stdout)
    for each in report["install"]:
        about, got = each["metadata"], each["download_info"]
        name = about["name"].lower().replace("_", "-")
        yield name, about["version"], Path(got["url"]).name, got["archive_info"]["hashes"]["sha256"]
