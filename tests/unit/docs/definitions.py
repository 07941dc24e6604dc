"""What a file of the repository defines: pages name places in the code, and tests."""

from __future__ import annotations

import ast
from functools import cache

from tests.unit.docs.pages import ROOT


@cache
def definitions(file: str) -> frozenset[str]:
    """The names of functions, classes and variables, at any depth, in *file*, a path within the repository."""
    found: set[str] = set()
    for node in ast.walk(ast.parse((ROOT / file).read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
        elif isinstance(node, ast.Assign):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return frozenset(found)
