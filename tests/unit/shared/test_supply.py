"""What a running daemon is made of: no code but Python's own, ours, and that of the packages named here."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
OURS = {"gatepost", "milters", "policy"}
ALWAYS = {
    "_cffi_backend",
    "annotated_types",
    "authres",
    "cffi",
    "cryptography",
    "dkim",
    "dns",
    "idna",
    "prometheus_client",
    "publicsuffixlist",
    "pydantic",
    "pydantic_core",
    "spf",
    "typing_extensions",
    "typing_inspection",
    "uvloop",
    "yaml",
    "_yaml",
}
"""Each is a dependency of pyproject.toml, or what one of these needs."""

WHERE_INSTALLED = {"_sodium", "nacl"}
"""What dkimpy takes where it finds it, and does without."""

FURTHER = {"redis_store": {"redis", "async_timeout"}, "libmilter": {"milter", "Milter"}}

LOAD = """
import importlib, json, pkgutil, sys
before = set(sys.modules)
import gatepost, milters, policy
for package in (gatepost, milters, policy):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if module.name not in ("gatepost.__main__", "policy.greylisting.redis_store"):
            importlib.import_module(module.name)
if sys.argv[1] == "redis_store":
    import policy.greylisting.redis_store
if sys.argv[1] == "libmilter":
    assert milters.libmilter.check_environment() is None
loaded = {
    name.partition(".")[0]
    for name in set(sys.modules) - before
    if "-packages" in (getattr(sys.modules[name], "__file__", None) or "")
}
print(json.dumps(sorted(loaded)))
"""


@pytest.mark.parametrize("also", ["", "redis_store", "libmilter"])
def test_what_is_loaded(also: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOAD, also], capture_output=True, text=True, check=True, timeout=60
    )
    loaded = set(json.loads(done.stdout))
    assert "pydantic" in loaded
    assert loaded - OURS - ALWAYS - WHERE_INSTALLED - FURTHER.get(also, set()) == set()


def test_without_asking_for_them_neither_redis_nor_libmilter_is_loaded() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOAD, ""], capture_output=True, text=True, check=True, timeout=60
    )
    assert not {"redis", "milter", "Milter"} & set(json.loads(done.stdout))


FORBIDDEN = {
    "eval",
    "exec",
    "compile",
    "__import__",
    "pickle",
    "marshal",
    "shelve",
    "yaml.load",
    "os.system",
    "os.popen",
}
RUNS_PROGRAMS = {"gatepost/postfix/running.py"}
"""Runs postconf for ``gatepost check --postfix``."""


def _names(tree: ast.AST) -> Iterator[str]:
    """What is called or imported, by name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def test_nothing_makes_code_of_data() -> None:
    found = set()
    runs = set()
    for place in OURS:
        for file in (ROOT / place).rglob("*.py"):
            names = set(_names(ast.parse(file.read_text())))
            found |= {(str(file), name) for name in names & FORBIDDEN}
            if "subprocess" in names:
                runs.add(str(file.relative_to(ROOT)))
    assert found == set()
    assert runs == RUNS_PROGRAMS
