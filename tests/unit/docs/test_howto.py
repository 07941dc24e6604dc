"""The commands of the how-tos are given, in the order of the page, and print what the page shows.

A comment of the page says what has happened in between: ``<!-- published -->``
(all keys are in the DNS now), ``<!-- configured -->`` (the next block has been put
into gatepost.yaml), ``<!-- file NAME -->`` (the next block is this file).
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.docs.pages import PAGES, ROOT, blocks, name_of
from tests.unit.docs.sandbox import Sandbox, fits, session

KEY = ROOT / "tests" / "sessions" / "keys" / "example.nl-rsa.pem"
RUN = [page for page in PAGES if blocks(page, "console") and page.name != "tutorial.md"]

_EVENT = re.compile(r"(?ms)<!-- (published|configured|file (\S+)) -->|^( *)```([^\n`]*)\n(.*?)^\3```")


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A directory with a short name: what is printed is laid out by the length of paths."""
    with tempfile.TemporaryDirectory(prefix="g-") as name:
        yield Path(name)


@pytest.mark.parametrize("page", RUN, ids=name_of)
def test_the_commands_print_what_is_shown(
    page: Path, short_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    sandbox = Sandbox(short_path, monkeypatch, KEY)
    awaited = ""
    for event in _EVENT.finditer(page.read_text()):
        if event[1] == "published":
            sandbox.publish()
        elif event[1]:
            awaited = event[2] or event[1]
        elif event[4] == "console":
            for command, shown in session(_dedented(event)):
                output = sandbox.run(command)
                assert fits(shown, output), f"$ {command}\n{output}"
        elif awaited == "configured":
            sandbox.configure(_dedented(event))
            awaited = ""
        elif awaited:
            sandbox.write(awaited, _dedented(event))
            awaited = ""
    assert not awaited


def _dedented(event: re.Match[str]) -> str:
    indent = len(event[3])
    return "".join(line[indent:] or "\n" for line in event[5].splitlines(keepends=True))


@pytest.mark.parametrize(
    ("shown", "output", "same"),
    [
        ("a\n", "a\n", True),
        ("a\n", "b\n", False),
        ("a … c\n", "a b c\n", True),
        ("a\n…\nd\n", "a\nb\nc\nd\n", True),
        ("a\n…\nd\n", "a\nb\nc\n", False),
        ("", "an error\n", False),
        ("a  b\n", "a      b\n", True),
    ],
)
def test_what_is_shown_is_compared(shown: str, output: str, same: bool) -> None:
    assert fits(shown, output) == same
