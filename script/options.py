"""Writes docs/options.md from the options themselves, so that the two cannot differ.

The examples are those of options.yaml, a configuration that has every option.

.venv/bin/python script/options.py
"""

from __future__ import annotations

import sys
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

sys.path.insert(0, str(Path(__file__).parents[1]))

from gatepost.config.dkim_settings import SigningKeyEntry
from gatepost.config.greylist_settings import GreylistAllow
from gatepost.config.sections import Daemon, Dns, Limits, Log
from gatepost.config.settings import KINDS, Config
from gatepost.config.spf_settings import Allow

EXAMPLES = Path(__file__).with_name("options.yaml")
TARGET = Path(__file__).parents[1] / "docs" / "options.md"

HEAD = """\
# Options

All options of `gatepost.yaml`. An option that is not there has its default.
`gatepost check` names every mistake with file, line and key.

A *time* is written `500ms`, `5s`, `10m`, `2h`, `1d` or `1w`, a *size* `64k` or `10M`.
A *network* is an address, or one with a prefix (`192.0.2.0/24`); a *host* an address, a
network, a host name, or `.domain` for all below it. The examples show how each is
written; they are no advice.

This page is made from the program by `script/options.py`.
"""

_BELOW: dict[str, list[tuple[str, str, type[BaseModel]]]] = {
    "dkim-sign": [("keys", "One entry a key.", SigningKeyEntry)],
    "spf": [("allow", "Who is never refused.", Allow)],
    "greylist": [("allow", "Who is never greylisted.", GreylistAllow)],
}
"""What stands in sections of its own below a kind."""

_TYPES = {
    "parse_duration": "time",
    "parse_positive_duration": "time",
    "parse_size": "size",
    "parse_domain": "domain",
    "parse_authserv_id": "host name",
    "parse_field_name": "header field",
    "parse_host_pattern": "host",
    "parse_path": "path",
    "parse_network": "network",
    "_parse_nameserver": "address",
    "_parse_metrics_address": "address:port",
    "_parse_reason": "text",
    "_parse_text": "text",
    "_parse_list": "domain",
    "_parse_recipient": "recipient",
    "_one_or_more": "socket, or a list",
    "parse": "store",
}
"""What a type is called, by the function that reads it."""


def main() -> None:
    """Write the page."""
    TARGET.write_text(page())


def page() -> str:
    """The whole page."""
    whole = yaml.load(EXAMPLES.read_text(), yaml.BaseLoader)
    daemons = whole["daemons"]
    common = daemons["dkim-verify"]
    parts = [HEAD, _section("The whole file", "", Config, whole, skip={"dns", "log", "daemons"})]
    parts.append(_section("dns:", "How names are looked up.", Dns, whole["dns"]))
    parts.append(_section("log:", "What is written to standard error.", Log, whole["log"]))
    parts.append(
        _section("daemons: every daemon", "One entry a daemon: `NAME: {…}`.", Daemon, common, skip={"limits"})
    )
    parts.append(
        _section("limits: of every daemon", "Bounds on what a peer may send.", Limits, common["limits"])
    )
    for kind, model in KINDS.items():
        examples = next(each for name, each in daemons.items() if each.get("kind", name) == kind)
        parts.append(_section(f"kind: {kind}", "", model, examples, skip=_common(model)))
        parts += [
            _section(f"{key}: of {kind}", text, each, examples[key])
            for key, text, each in _BELOW.get(kind, ())
        ]
    return "\n".join(parts)


def _common(model: type[BaseModel]) -> set[str]:
    """The options that are as in every daemon."""
    fields = Daemon.model_fields.items()
    return {"kind"} | {name for name, field in fields if model.model_fields[name].default == field.default}


def _section(
    title: str,
    text: str,
    model: type[BaseModel],
    examples: Mapping[str, Any] | list[Mapping[str, Any]],
    skip: set[str] | None = None,
) -> str:
    lines = [f"## {title}", ""]
    if text:
        lines += [text, ""]
    lines += ["| option | type | default | meaning | example |", "| --- | --- | --- | --- | --- |"]
    hints = typing.get_type_hints(model, include_extras=True)
    known = {
        key: value
        for each in (examples if isinstance(examples, list) else [examples])
        for key, value in each.items()
    }
    for name, field in model.model_fields.items():
        if name not in (skip or set()):
            meaning = " ".join((field.description or "").split()).replace("``", "`").replace("|", "\\|")
            cells = (f"`{name}`", _type(hints[name]), _default(name, field), meaning, _example(known[name]))
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def _type(hint: Any) -> str:
    """What a value is, in a word or two."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _annotated(arguments[0], arguments[1:])
    if origin in (Union, types.UnionType):
        return _type(next(each for each in arguments if each is not type(None)))
    if origin is Literal:
        return ", ".join(f"`{each}`" for each in arguments)
    if origin is list:
        inner = _type(arguments[0])
        return {"text": "list", "options": "list", "address": "list of addresses"}.get(
            inner, f"list of {inner}s"
        )
    if origin is dict:
        return f"by {_type(arguments[0])}"
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return "options"
    return {str: "text", bool: "`yes`, `no`", int: "number"}.get(hint) or "`HEADER/BODY`"


def _annotated(base: Any, marks: tuple[Any, ...]) -> str:
    for mark in marks:
        if func := getattr(mark, "func", None):
            return _TYPES[func.__name__]
        if isinstance(mark, FieldInfo):
            bounds = {type(each).__name__: each for each in mark.metadata}
            return f"{bounds['Ge'].ge} to {bounds['Le'].le}"
    return _type(base)


def _default(name: str, field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined:
        return "this host's name" if name == "authserv_id" else "(must be given)"
    if value is None or value in ([], {}, ""):
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
        return f"`{value // 1024}k`" if value > 8192 else f"`{value}`"
    return f"`{value}`"


def _duration(seconds: float) -> str:
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds and seconds % length == 0:
            return f"{seconds / length:g}{unit}"
    return f"{seconds:g}s"


def _example(value: Any) -> str:
    """A value on one line, as it may stand in the file; nothing where a section below shows it."""
    nested = value[0] if isinstance(value, list) and value else value
    if isinstance(nested, dict) and len(nested) > 1 and "address" not in nested:
        return ""
    return f"`{_flow(value)}`"


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(_flow, value))}]"
    text = str(value)
    return (
        f'"{text}"'
        if set(text) & set(',{}[]*!"<') or ": " in text or text.startswith((":", "@")) or text in ("0660",)
        else text
    )


if __name__ == "__main__":
    main()
