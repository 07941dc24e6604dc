"""Writes docs/options.md from the options themselves, so that the two cannot differ.

.venv/bin/python script/options.py
"""

from __future__ import annotations

import sys
from pathlib import Path

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

sys.path.insert(0, str(Path(__file__).parents[1]))

from gatepost.config.dkim_settings import SigningKeyEntry
from gatepost.config.greylist_settings import GreylistAllow
from gatepost.config.sections import Daemon, Dns, Limits, Log
from gatepost.config.settings import KINDS, Config
from gatepost.config.spf_settings import Allow

TARGET = Path(__file__).parents[1] / "docs" / "options.md"

HEAD = """\
# Options

All options of `gatepost.yaml`. An option that is not there has its default.
`gatepost check` names every mistake with file, line and key.

Times are written `500ms`, `5s`, `10m`, `2h`, `1d`, `1w`; sizes `64k`, `10M`.
This page is made from the program by `script/options.py`.
"""


_BELOW: dict[str, list[tuple[str, str, type[BaseModel]]]] = {
    "dkim-sign": [("keys", "One entry a key.", SigningKeyEntry)],
    "spf": [("allow", "Who is never refused.", Allow)],
    "greylist": [("allow", "Who is never greylisted.", GreylistAllow)],
}
"""What stands in sections of its own below a kind."""


def main() -> None:
    """Write the page."""
    TARGET.write_text(page())


def page() -> str:
    """The whole page."""
    parts = [HEAD, _section("The whole file", "", Config, skip={"dns", "log", "daemons"})]
    parts.append(_section("dns:", "How names are looked up.", Dns))
    parts.append(_section("log:", "What is written to standard error.", Log))
    parts.append(
        _section("daemons: every daemon", "One entry a daemon: `NAME: {…}`.", Daemon, skip={"limits"})
    )
    parts.append(_section("limits: of every daemon", "Bounds on what a peer may send.", Limits))
    for kind, model in KINDS.items():
        parts.append(_section(f"kind: {kind}", "", model, skip=_common(model)))
        parts += [_section(f"{key}: of {kind}", text, each) for key, text, each in _BELOW.get(kind, ())]
    return "\n".join(parts)


def _common(model: type[BaseModel]) -> set[str]:
    """The options that are as in every daemon."""
    fields = Daemon.model_fields.items()
    return {"kind"} | {name for name, field in fields if model.model_fields[name].default == field.default}


def _section(title: str, text: str, model: type[BaseModel], skip: set[str] | None = None) -> str:
    lines = [f"## {title}", ""]
    if text:
        lines += [text, ""]
    lines += ["| option | default | meaning |", "| --- | --- | --- |"]
    for name, field in model.model_fields.items():
        if name not in (skip or set()):
            meaning = " ".join((field.description or "").split()).replace("``", "`").replace("|", "\\|")
            lines.append(f"| `{name}` | {_default(field)} | {meaning} |")
    return "\n".join([*lines, ""])


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined:
        return "this host's name" if field.annotation is str else "(must be given)"
    if value is None or value in ([], {}):
        return "none"
    if isinstance(value, bool):
        return "`yes`" if value else "`no`"
    if isinstance(value, list):
        return f"`[{', '.join(str(item) for item in value)}]`"
    if isinstance(value, float):
        return f"`{_duration(value)}`"
    if isinstance(value, tuple):
        return f"`{'/'.join(value)}`"
    if isinstance(value, BaseModel):
        return "see below"
    if isinstance(value, int) and value and value % 1024 == 0:
        return f"`{value // 1024}k`"
    return f"`{value}`"


def _duration(seconds: float) -> str:
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds and seconds % length == 0:
            return f"{seconds / length:g}{unit}"
    return f"{seconds:g}s"


if __name__ == "__main__":
    main()
