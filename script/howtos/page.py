"""A page taken apart: what is to be done, in the order in which it stands.

Comments say what a person does in between: those that the tests of the pages
know (``configured``, ``published``, ``file NAME``), and ``<!-- without NAME -->``:
the daemon, or with a dot its option, has been taken out of gatepost.yaml again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_STEP = re.compile(
    r"(?ms)^#+ (?P<heading>[^\n]*)$|<!-- (?P<mark>published|configured|file \S+|without \S+) -->"
    r"|^(?P<indent> *)```(?P<language>[^\n`]*)\n(?P<text>.*?)^(?P=indent)```"
)


class Step(NamedTuple):
    """A block, or a comment alone. ``mark`` is the comment before the block, "" for none."""

    heading: str
    mark: str
    language: str = ""
    text: str = ""


def steps(page: Path) -> Iterator[Step]:
    """All of the page."""
    heading = mark = ""
    for found in _STEP.finditer(page.read_text()):
        if found["heading"] is not None:
            heading = found["heading"]
        elif found["mark"] is None:
            indent = len(found["indent"])
            lines = found["text"].splitlines(keepends=True)
            yield Step(heading, mark, found["language"], "".join(line[indent:] or "\n" for line in lines))
            mark = ""
        elif found["mark"].split()[0] in ("configured", "file"):
            mark = found["mark"]
        else:
            yield Step(heading, found["mark"])
