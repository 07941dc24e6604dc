"""Markdown as our documentation writes it, turned into man(7).

Known are headings, paragraphs, blocks (indented or between fences), lists with
``-``, tables, and within a line ``code``, **bold**, *emphasis* and [links](target). A table becomes
a list: the first cell is what is explained, that of the column "meaning" (else
the last) explains it, what stands between follows the first in parentheses, and
what comes behind is added as an example is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

_CHARACTERS = {"…": "...", "§": r"\(sc", "–": r"\(en", "→": r"\(->", "×": r"\(mu"}
_INLINE = re.compile(
    r"`(?P<code>[^`]*)`|\*\*(?P<bold>.+?)\*\*|\*(?P<stressed>\w[^*]*)\*|\[(?P<text>[^\]]*)\]\((?P<target>[^)]*)\)"
)


def head(name: str, section: int, purpose: str) -> str:
    """The lines that every page begins with: its name, and what it is for."""
    return (
        f'.TH {name} {section} "" gatepost "gatepost manual"\n.SH NAME\n{plain(name)} \\- {plain(purpose)}\n'
    )


def plain(text: str) -> str:
    """Text in which nothing is a request or an escape, in ASCII."""
    text = text.replace("\\", r"\e").replace("-", r"\-").replace("'", r"\(aq").replace("^", r"\(ha")
    text = text.replace("~", r"\(ti").replace("`", r"\(ga")
    text = "".join(_CHARACTERS.get(each, each) for each in text)
    text = "".join(each if each.isascii() else f"\\[u{ord(each):04X}]" for each in text)
    return rf"\&{text}" if text.startswith(".") else text


def inline(text: str) -> str:
    """One line or paragraph with its marks."""
    parts, end = [], 0
    for match in _INLINE.finditer(text):
        parts.append(plain(text[end : match.start()]))
        if (code := match["code"]) is not None:
            # An empty one is an empty value.
            parts.append(rf"\fB{plain(code)}\fP" if code else '""')
        elif (bold := match["bold"]) is not None:
            parts.append(rf"\fB{plain(bold)}\fP")
        elif (stressed := match["stressed"]) is not None:
            parts.append(rf"\fI{plain(stressed)}\fP")
        else:
            parts.append(plain(match["text"]))
        end = match.end()
    parts.append(plain(text[end:]))
    line = "".join(parts)
    return rf"\&{line}" if line.startswith(".") else line


def body(markdown: str) -> str:
    """The page's text. A heading of level 2 becomes a section, of level 3 a subsection, of level 4 a bold line."""
    return "".join(f"{line}\n" for line in _lines(markdown.splitlines()))


def _lines(lines: Sequence[str]) -> Iterator[str]:
    at = 0
    while at < len(lines):
        kind = _kind_of(lines[at])
        end = at + 1
        if kind == "fence":
            end = lines.index("```", at + 1) + 1
        elif kind != "heading":
            while end < len(lines) and _goes_on(kind, lines, end):
                end += 1
        yield from _RENDER[kind](lines[at:end])
        at = end


def _kind_of(line: str) -> str:
    if not line.strip():
        return "nothing"
    for start, kind in (
        ("#", "heading"),
        ("```", "fence"),
        ("    ", "block"),
        ("|", "table"),
        ("- ", "list"),
    ):
        if line.startswith(start):
            return kind
    return "paragraph"


def _goes_on(kind: str, lines: Sequence[str], at: int) -> bool:
    line = lines[at]
    if kind == "block" and not line.strip():
        return at + 1 < len(lines) and _kind_of(lines[at + 1]) == "block"
    if kind == "list":
        return line.startswith(("- ", "  "))
    return _kind_of(line) == kind


def _heading(lines: Sequence[str]) -> Iterator[str]:
    marks, _, text = lines[0].partition(" ")
    text = inline(text)
    if len(marks) <= 2:
        yield f".SH {text.upper()}"
    elif len(marks) == 3:
        yield f".SS {text}"
    else:
        yield ".PP"
        yield rf"\fB{text}\fP"


def _paragraph(lines: Sequence[str]) -> Iterator[str]:
    yield ".PP"
    yield inline(" ".join(lines))


def _block(lines: Sequence[str]) -> Iterator[str]:
    yield ".PP"
    yield ".RS 4"
    yield ".EX"
    yield from (plain(line.removeprefix("    ")) for line in lines)
    yield ".EE"
    yield ".RE"


def _fence(lines: Sequence[str]) -> Iterator[str]:
    return _block([f"    {line}" for line in lines[1:-1]])


def _list(lines: Sequence[str]) -> Iterator[str]:
    for item in re.split(r"(?m)^- ", "\n".join(lines))[1:]:
        yield r".IP \(bu 2"
        yield inline(" ".join(item.split()))


def _table(lines: Sequence[str]) -> Iterator[str]:
    heads, _, *rows = (_cells(line) for line in lines)
    meaning = heads.index("meaning") if "meaning" in heads else len(heads) - 1
    for row in rows:
        said = _said(heads[1:meaning], row[1:meaning])
        behind = _said(heads[meaning + 1 :], row[meaning + 1 :])
        yield ".TP"
        yield inline(row[0]) + (f" ({inline(', '.join(said))})" if said else "")
        yield inline(row[meaning])
        for each in behind:
            yield ".br"
            yield inline(each[:1].upper() + each[1:])


def _said(heads: Sequence[str], cells: Sequence[str]) -> list[str]:
    return [f"{head}: {cell}" for head, cell in zip(heads, cells, strict=True) if cell]


def _cells(line: str) -> list[str]:
    cells = re.split(r"(?<!\\)\|", line.strip().strip("|"))
    return [cell.strip().replace("\\|", "|") for cell in cells]


def _nothing(lines: Iterable[str]) -> Iterator[str]:
    return iter(())


_RENDER = {
    "heading": _heading,
    "paragraph": _paragraph,
    "block": _block,
    "fence": _fence,
    "list": _list,
    "table": _table,
    "nothing": _nothing,
}
