"""The documentation says what the program does."""

from __future__ import annotations

from pydantic import BaseModel

from gatepost.config.settings import KINDS, Config
from script.options import TARGET, page


def test_the_page_is_up_to_date() -> None:
    assert TARGET.read_text() == page(), "run script/options.py"


def test_every_option_is_explained() -> None:
    models: list[type[BaseModel]] = [Config, *KINDS.values()]
    for model in models:
        for name, field in model.model_fields.items():
            assert field.description or name in {"kind", "dns", "log", "limits"}, f"{model.__name__}.{name}"
