"""The fields of the messages' lines are explained, each for the daemons that write it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "troubleshooting.md").read_text()
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


def test_the_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)]+)\)", PAGE):
        assert (ROOT / "docs" / target).is_file(), target


@pytest.mark.parametrize(
    "option", ["trusted_networks", "subdomains", "max_signatures", "addresses", "domains"]
)
def test_the_options_that_help_exist(option: str) -> None:
    assert f"`{option}" in PAGE
    assert re.search(rf"(?m)^\| `(allow\.)?{option}` \|", (ROOT / "docs" / "options.md").read_text())
