"""The lines that the code can write into the log, read off it: those of messages apart from all others."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[3]
ROOMS = ("gatepost", "milters", "policy")


class Line(NamedTuple):
    """An event: how bad it is, its words, and the names of what it tells beside them."""

    level: str
    words: str
    fields: frozenset[str]


def events() -> Iterator[Line]:
    """Each event whose words stand in the code as they are logged."""
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            tree = ast.parse(path.read_text())
            constants = {
                target.id: node.value.value
                for node in tree.body
                if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
                for target in node.targets
                if isinstance(target, ast.Name)
            }
            for node in ast.walk(tree):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                    yield from _event(node, node.func, constants)


def _event(call: ast.Call, function: ast.Attribute, constants: Mapping[str, object]) -> Iterator[Line]:
    if function.attr == "event" and len(call.args) == 2:
        level, words = (_text(each, constants) for each in call.args)
    elif function.attr == "failure" and call.args:
        level, words = "error", _text(call.args[0], constants)
    else:
        return
    if level and words:
        yield Line(level, words, frozenset(each.arg for each in call.keywords if each.arg))


def _text(node: ast.expr, constants: Mapping[str, object]) -> str:
    value: object = node.value if isinstance(node, ast.Constant) else None
    if isinstance(node, ast.Name):
        value = constants.get(node.id)
    return value if isinstance(value, str) else ""
