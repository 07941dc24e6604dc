"""The targets by name, and their inputs: those that a module begins with, and those that runs found worth keeping.

``corpus/TARGET.txt`` has one input a line, quoted as in recorded sessions
(:mod:`gatepost.recording.octets`). Lines that begin with ``#`` say why the next one
is there: it broke something once.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from gatepost.recording.octets import quote, unquote
from tests.fuzz import targets

DIRECTORY = Path(__file__).parent / "corpus"


class Target(Protocol):
    """A module of ``targets``."""

    __doc__: str | None
    check: Callable[[bytes], None]
    SEEDS: Sequence[bytes]
    WORDS: Sequence[bytes]


def names() -> list[str]:
    """All targets."""
    return sorted(module.name for module in pkgutil.iter_modules(targets.__path__))


def target(name: str) -> Target:
    """The target called *name*."""
    return cast(Target, import_module(f"{targets.__name__}.{name}"))


def file_of(name: str) -> Path:
    """Where the inputs of a target are kept."""
    return DIRECTORY / f"{name}.txt"


def kept(name: str) -> list[bytes]:
    """The inputs that are kept of the target called *name*."""
    file = file_of(name)
    if not file.exists():
        return []
    lines = file.read_text(encoding="utf-8").split("\n")
    return [unquote(line[1:-1]) for line in lines if line.startswith('"')]


def inputs(name: str) -> list[bytes]:
    """All inputs of the target called *name*, each once."""
    return list(dict.fromkeys((*target(name).SEEDS, *kept(name))))


def keep(name: str, found: Iterable[bytes]) -> None:
    """Keep *found* instead of what was kept so far, save what broke something once."""
    file = file_of(name)
    lines = file.read_text(encoding="utf-8").split("\n") if file.exists() else []
    lasting: list[str] = []
    for above, line in zip(["", *lines], lines, strict=False):
        if above.startswith("#") and line.startswith('"'):
            lasting += (above, line)
    new = sorted({quote(each) for each in found} - set(lasting), key=lambda line: (len(line), line))
    if lasting or new:
        file.write_text("".join(f"{line}\n" for line in (*lasting, *new)), encoding="utf-8")
    else:
        file.unlink(missing_ok=True)
