"""The log lines in docs/: each is what its mistake gives, and each mistake is told of."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest

from tests.e2e.troubles import postfix, serving, start  # noqa: F401  # each adds its mistakes
from tests.e2e.troubles.scene import MISTAKES, Scene

DOCS = Path(__file__).parents[2] / "docs"
# The tutorial's lines are those of its own mails: test_tutorial.py.
PAGES = "".join(page.read_text() for page in DOCS.rglob("*.md") if page.name != "tutorial.md")
SEEN = {line for block in re.findall(r"(?ms)^```log\n(.*?)^```$", PAGES) for line in block.splitlines()}

pytestmark = pytest.mark.e2e


@pytest.fixture
def scene(open_place: Path) -> Scene:
    return Scene(open_place)


@pytest.mark.parametrize("line", MISTAKES)
def test_a_mistake_gives_its_line(scene: Scene, line: str) -> None:
    assert line in MISTAKES[line](scene)


def test_the_pages_show_these_lines_and_no_others() -> None:
    assert sorted(SEEN) == sorted(MISTAKES)


def test_a_socket_that_a_dead_daemon_left_is_replaced(scene: Scene) -> None:
    scene.configure("daemons:\n  dkim-verify:\n    socket: unix:/run/gatepost/verify\n")
    path = scene.path("/run/gatepost/verify")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with scene.running(), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
