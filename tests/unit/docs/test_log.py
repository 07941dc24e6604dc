"""docs/log.md explains each field of messages' lines, for the daemons that write it, and each line that is fixed."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.unit.docs.log_lines import events

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "log.md").read_text()
SOURCES = {
    "dkim-verify": "milters/dkim_verify.py",
    "dkim-sign": "milters/dkim_sign.py",
    "dmarc": "milters/dmarc.py",
    "spf": "policy/spf.py",
    "greylist": "policy/greylist.py",
}
WRITERS = {"message", "_tell", "_passed"}


def explained() -> dict[str, set[str]]:
    """The fields of each daemon, as the table has them."""
    found: dict[str, set[str]] = {name: set() for name in SOURCES}
    for field, of in re.findall(r"(?m)^\| `(\w+)` \| ([^|]+) \|", PAGE):
        every, _, missing = of.partition(" but ")
        names = set(SOURCES) - {missing} if every == "all" else set(of.split(", "))
        for name in names:
            found[name].add(field)
    return found


@pytest.mark.parametrize("name", SOURCES)
def test_each_field_is_explained(name: str) -> None:
    calls = (
        node
        for node in ast.walk(ast.parse((ROOT / SOURCES[name]).read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in WRITERS
    )
    written = {keyword.arg for call in calls for keyword in call.keywords if keyword.arg}
    assert explained()[name] == written


def test_each_other_line_is_explained_with_its_level_and_fields() -> None:
    known: dict[tuple[str, str], set[str]] = {}
    for line in events():
        known.setdefault((line.level, line.words), set()).update(line.fields)
    rows = re.findall(r"(?m)^\| (info|warning|error) \| (`+ ?)(.+?)\2? \| ([^|]*) \| [^|]+ \|$", PAGE)
    told = {
        (level, words.rstrip("` ").strip()): set(re.findall(r"`(\w+)`", fields))
        for level, _, words, fields in rows
    }
    assert told == {(level, words.rstrip("` ")): fields for (level, words), fields in known.items()}
