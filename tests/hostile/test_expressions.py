"""No regular expression of ours takes more than linear time, whatever text it is given in the way it is used."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import BuiltinMethodType, ModuleType
from typing import Any, NamedTuple

import pytest

import gatepost
import milters
import policy
from tests.hostile.expressions import attacks

_METHODS = frozenset(("match", "fullmatch", "search", "sub", "split", "finditer", "findall"))
# By length: an exponential one shows at once, a quadratic one in the end.
_LENGTHS = (24, 250, 2500)
_NANOSECONDS = 1_500_000
"""CPU time that no linear expression takes for the longest of these."""
_GROWTH = 40
"""Ten times the text may take ten times as long, and what measuring is off by."""


class Used(NamedTuple):
    """An expression, where it stands, and the method by which it is used."""

    place: str
    pattern: re.Pattern[Any]
    method: str


def modules() -> Iterator[ModuleType]:
    for package in (gatepost, milters, policy):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not found.name.endswith("__main__"):
                yield importlib.import_module(found.name)


@cache
def uses() -> dict[tuple[str, str], set[str]]:
    """The methods called on each module's names, by module and name; also where another module imports them."""
    found: dict[tuple[str, str], set[str]] = {}
    for module in modules():
        tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
        homes = {
            alias.asname or alias.name: (str(node.module), alias.name)
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.attr in _METHODS:
                home = homes.get(node.value.id, (module.__name__, node.value.id))
                found.setdefault(home, set()).add(node.attr)
    return found


def expressions() -> Iterator[Used]:
    seen = set()
    for module in modules():
        for name, value in vars(module).items():
            for each in value if isinstance(value, tuple | list) else [value]:
                if isinstance(each, BuiltinMethodType) and isinstance(each.__self__, re.Pattern):
                    pattern, methods = each.__self__, {each.__name__}
                elif isinstance(each, re.Pattern):
                    pattern, methods = each, uses().get((module.__name__, name), {"search"})
                else:
                    continue
                # The others look for a match from place to place, as search does.
                for method in sorted(
                    {each if each in ("match", "fullmatch") else "search" for each in methods}
                ):
                    if (pattern, method) not in seen:
                        seen.add((pattern, method))
                        yield Used(f"{module.__name__}.{name}", pattern, method)


def cpu_time(used: Used, text: Any) -> int:
    """Nanoseconds of our own CPU time, the least of three: others use the machine too."""
    run = getattr(used.pattern, used.method)
    times = []
    for _ in range(3):
        begin = time.thread_time_ns()
        run(text)
        times.append(time.thread_time_ns() - begin)
        if times[-1] < _NANOSECONDS:
            break
    return min(times)


@pytest.mark.parametrize(
    "used", [pytest.param(each, id=f"{each.place}-{each.method}-{n}") for n, each in enumerate(expressions())]
)
def test_time_is_linear(used: Used) -> None:
    slow: list[int] = []
    for length in _LENGTHS:
        for number, text in enumerate(attacks(used.pattern, length)):
            if cpu_time(used, text) >= _NANOSECONDS:
                slow.append(number)
        assert not slow or length == _LENGTHS[-1], f"slow with {length} characters"
    texts = {length: list(attacks(used.pattern, length)) for length in (2500, 25_000)} if slow else {}
    for number in slow:
        once, tenfold = (cpu_time(used, texts[length][number]) for length in texts)
        assert tenfold < _GROWTH * once, texts[2500][number][:80]


@pytest.mark.parametrize("pattern", [r"(?:a+)+b", r"[ \t]*\s*;", r"(?:a|b|ab)*c", r"x*y*x*z"])
def test_those_that_are_not_would_be_found(pattern: str) -> None:
    compiled = re.compile(pattern)
    used = Used("here", compiled, "match")
    for length in (*range(16, 60, 2), 2500):
        if any(cpu_time(used, text) >= _NANOSECONDS for text in attacks(compiled, length)):
            return
    pytest.fail("not found")
