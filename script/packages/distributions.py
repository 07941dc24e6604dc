"""The sdist and the wheel."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from script.packages.tree import DIST, ROOT, run, version


def make_sdist(into: Path = DIST) -> Path:
    """Everything that git would keep, as ``gatepost-VERSION.tar.gz``."""
    return _built("sdist", ROOT, into, f"gatepost-{version()}.tar.gz")


def make_wheel(into: Path = DIST) -> Path:
    """The wheel, made from the sdist: what that lacks cannot be in it."""
    with tempfile.TemporaryDirectory(prefix="gatepost-") as name:
        source = make_sdist(Path(name))
        run("tar", "-xzf", source, "-C", name)
        tree = Path(name) / source.name.removesuffix(".tar.gz")
        return _built("wheel", tree, into, f"gatepost-{version()}-py3-none-any.whl")


def _built(target: str, tree: Path, into: Path, name: str) -> Path:
    into.mkdir(parents=True, exist_ok=True)
    run(sys.executable, "-m", "hatchling", "build", "-t", target, "-d", into.resolve(), cwd=tree)
    return into / name
