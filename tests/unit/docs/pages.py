"""The pages of the documentation, taken apart: their blocks, their code words, their links."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
GENERATED = {"commands.md", "migration.md", "options.md", "protocol.md"}
"""What is made from the program; it has tests of its own."""

PAGES = sorted(
    [*DOCS.glob("*.md"), *(DOCS / "howto").glob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
)

_FENCE = re.compile(r"(?ms)^( *)```([^\n`]*)\n(.*?)^\1```[ \t]*$")
_INDENTED = re.compile(r"(?m)(?:\A|(?<=\n\n))(?: {4}[^\n]*\n)+")
_CODE = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, and where it begins."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{name_of(self.page)}:{self.line}"


def name_of(page: Path) -> str:
    """A page's name below docs/."""
    return str(page.relative_to(DOCS if page.is_relative_to(DOCS) else ROOT))


def blocks(page: Path, *languages: str) -> list[Block]:
    """The fenced blocks of a page; those in *languages* alone where given."""
    text = page.read_text()
    found = []
    for match in _FENCE.finditer(text):
        indent = len(match[1])
        inside = "".join(line[indent:] or "\n" for line in match[3].splitlines(keepends=True))
        found.append(Block(page, text.count("\n", 0, match.start()) + 1, match[2].strip(), inside))
    return [block for block in found if not languages or block.language in languages]


def all_blocks(*languages: str) -> list[Block]:
    """The blocks in *languages* on all pages."""
    return [block for page in PAGES for block in blocks(page, *languages)]


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return _FENCE.sub("", page.read_text())


def indented(page: Path) -> list[str]:
    """The blocks of code that are only indented: nobody knows what language they are in."""
    listed = re.sub(r"(?m)^(?:\d+\.|[-*]) .*(?:\n(?: +.*)?)*", "", prose(page))
    return _INDENTED.findall(listed)


def words(page: Path) -> Iterator[str]:
    """What stands as code within sentences."""
    for match in _CODE.finditer(prose(page)):
        yield " ".join(match[2].split())


def links(page: Path) -> Iterator[str]:
    """Where the page's links lead."""
    yield from _LINK.findall(_CODE.sub("", prose(page)))
