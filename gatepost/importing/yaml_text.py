"""A draft as the text of a configuration, with comments that say where each line comes from."""

from __future__ import annotations

from collections.abc import Iterator

import yaml

from gatepost.importing.draft import Draft, Option, Plain, Section

_WIDTH = 88
_COMMENT_AT = 40


def to_yaml(draft: Draft) -> str:
    """The text; it ends with a line end."""
    lines: list[str] = []
    section = ""
    for name, option in draft.common.items():
        outer, dot, inner = name.rpartition(".")
        if dot and outer != section:
            lines.append(f"{outer}:")
        section = outer
        lines += _entry(inner if dot else name, option, "  " if dot else "")
    lines.append("daemons:" if draft.daemons else "daemons: {}")
    for name, options in draft.daemons.items():
        lines.append(f"  {name}:" if options else f"  {name}: {{}}")
        lines += _section(options)
    return "\n".join(lines) + "\n"


def _section(options: Section) -> Iterator[str]:
    for name, option in options.items():
        yield from _entry(name, option, "    ")


def _entry(name: str, option: Option, indent: str) -> Iterator[str]:
    short = f"{indent}{name}: {_line(option.value)}"
    if len(short) <= _WIDTH or not option.value or not isinstance(option.value, list | dict):
        yield _commented(short, option.origin)
        return
    yield _commented(f"{indent}{name}:", option.origin)
    yield from _block(option.value, indent + "  ")


def _block(value: list[Plain] | dict[str, Plain], indent: str) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield f"{indent}- {_line(item)}"
        return
    for key, item in value.items():
        line = f"{indent}{_flow(key)}: {_line(item)}"
        if len(line) <= _WIDTH or not item or not isinstance(item, list | dict):
            yield line
        else:
            yield f"{indent}{_flow(key)}:"
            yield from _block(item, indent + "  ")


def _commented(line: str, comment: str) -> str:
    # What a file is called, or holds, cannot end the comment.
    shown = "".join(char if char.isprintable() else "?" for char in comment)
    return f"{line:{_COMMENT_AT}}  # {shown}" if shown else line


def _line(value: Plain) -> str:
    """*value* as the rest of a line."""
    if isinstance(value, str):
        text: str = yaml.safe_dump(value, width=10**9, allow_unicode=True)
        return text.removesuffix("...\n").rstrip("\n")
    return _flow(value)


def _flow(value: Plain) -> str:
    """*value* in one line, as it may stand between brackets."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    text: str = yaml.safe_dump(
        [value], default_flow_style=True, width=10**9, allow_unicode=True, sort_keys=False
    )
    return text.strip()[1:-1]
