"""What pydantic found wrong, told to an administrator."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from gatepost.config.document import Path
from gatepost.config.settings import KINDS, Config
from gatepost.config.types import Forms
from gatepost.config.words import did_you_mean, listed, printable, quoted

_MOST_LISTED = 8

_EXPECTED = {
    "bool_parsing": "yes or no",
    "bool_type": "yes or no",
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number",
    "int_from_float": "a whole number",
    "int_type": "a whole number",
    "string_type": "a single value",
    "list_type": "a list such as [a, b]",
    "dict_type": 'lines of "key: value" below it',
    "model_type": 'lines of "key: value" below it',
    "model_attributes_type": 'lines of "key: value" below it',
}


def explain(model: type[BaseModel], error: ErrorDetails) -> str:
    """Say in one line what *error*, found by *model*, means to someone who knows no programming."""
    kind = error["type"]
    value = error["input"]
    context: dict[str, Any] = error.get("ctx", {})
    if kind == "value_error":
        return str(context["error"])
    if kind == "extra_forbidden":
        return _unknown_key(model, error["loc"])
    if kind == "missing":
        return _missing(model, error["loc"])
    if kind == "literal_error":
        words = [word.strip("'") for word in context["expected"].replace(" or ", ", ").split(", ")]
        hint = did_you_mean(value, words) if isinstance(value, str) else ""
        return f"expected {listed(words, 'or')}{_but_not(value)}{hint}"
    if kind in ("greater_than_equal", "less_than_equal"):
        bound = f"at least {context['ge']}" if "ge" in context else f"at most {context['le']}"
        return f"expected a number of {bound}{_but_not(str(value))}"
    if kind == "too_short":
        return "expected at least one"
    if kind in _EXPECTED:
        return f"expected {_EXPECTED[kind]}{_but_not(value)}"
    return f"not valid here: {printable(error['msg'])}"


def _but_not(value: object) -> str:
    if value is None:
        return "; there is no value"
    if isinstance(value, str):
        return f", not {quoted(value)}"
    if isinstance(value, list):
        return ", not a list"
    return ', not "key: value"'


def _unknown_key(model: type[BaseModel], path: Path) -> str:
    key = str(path[-1])
    section = _model_at(model, path[:-1])
    known = list(section.model_fields) if section else []
    hint = did_you_mean(key, known)
    if not hint:
        hint = _elsewhere(key)
    if not hint and 0 < len(known) <= _MOST_LISTED:
        hint = f" (possible here: {', '.join(known)})"
    return f"unknown key{hint}"


def _elsewhere(key: str) -> str:
    """Give a hint where *key* is right but stands in the wrong place."""
    if key in KINDS:
        return ' (a daemon; it belongs below "daemons:")'
    if key in Config.model_fields:
        return " (it belongs at the top level, not indented)"
    for name, field in Config.model_fields.items():
        section = next(_models(field.annotation), None)
        if name != "daemons" and section and key in section.model_fields:
            return f' (it belongs below "{name}:")'
    kinds = [kind for kind, model in KINDS.items() if key in model.model_fields]
    if kinds:
        which = "a daemon" if len(kinds) == len(KINDS) else listed(kinds, "or")
        return f" (an option of {which}; it belongs below that)"
    return ""


def _missing(model: type[BaseModel], path: Path) -> str:
    key = str(path[-1])
    section = _model_at(model, path[:-1])
    examples = section.model_fields[key].examples if section else None
    if not examples:
        return "missing"
    return f'missing; add such as "{key}: {examples[0]}"'


def _model_at(model: type[BaseModel], path: Path) -> type[BaseModel] | None:
    """The section that stands at *path* in *model*."""
    section: type[BaseModel] | None = model
    for step in path:
        if section is None:
            break
        if isinstance(step, str):
            field = section.model_fields.get(step)
            section = next(_models(field.annotation), None) if field else None
    return section


def _models(annotation: object) -> Iterator[type[BaseModel]]:
    """The sections that a value of this type is written as."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    if get_origin(annotation) is Annotated:
        for extra in get_args(annotation)[1:]:
            if isinstance(extra, Forms):
                yield extra.mapping
    for inner in get_args(annotation):
        yield from _models(inner)
