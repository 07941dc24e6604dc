"""The page of options says what the program does, with an example of each that can be used."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import yaml
from pydantic import BaseModel

from gatepost.config.dkim_settings import SigningKeyEntry
from gatepost.config.host import Host
from gatepost.config.load import parse
from gatepost.config.settings import KINDS, Config
from script.options import EXAMPLES, TARGET, page

HOST = Host(user_exists=lambda name: True, group_exists=lambda name: True, has_pymilter=lambda: True)


def test_the_page_is_up_to_date() -> None:
    assert TARGET.read_text() == page(), "run script/options.py"


def test_every_option_is_explained() -> None:
    models: list[type[BaseModel]] = [Config, *KINDS.values()]
    for model in models:
        for name, field in model.model_fields.items():
            assert field.description or name in {"kind", "dns", "log", "limits"}, f"{model.__name__}.{name}"


def test_the_examples_can_be_used() -> None:
    parse(EXAMPLES.read_text(), EXAMPLES.name, HOST)


def test_every_option_has_an_example() -> None:
    config = yaml.safe_load(EXAMPLES.read_text())
    assert without(Config, config) == []
    common = set(config["daemons"]["dkim-verify"])
    keys = {key for entry in config["daemons"]["dkim-sign"]["keys"] for key in entry}
    assert keys == set(SigningKeyEntry.model_fields)
    for name, options in config["daemons"].items():
        model = KINDS[options.get("kind", name)]
        assert set(without(model, options)) <= common | {"kind"}, name


def without(model: type[BaseModel], values: Mapping[str, Any]) -> Iterable[str]:
    """The options that *values* lack, sections included."""
    missing = [name for name in model.model_fields if name not in values]
    for name, field in model.model_fields.items():
        inner = field.annotation
        if name in values and isinstance(inner, type) and issubclass(inner, BaseModel):
            missing += without(inner, values[name])
    return missing
