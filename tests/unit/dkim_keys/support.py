"""Building sources from settings, and looking at what they find."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gatepost.config.dkim_settings import DkimSign
from gatepost.config.errors import ConfigError, Problem
from gatepost.dkim.keys.sources import KeySources, build
from gatepost.dkim.signing_key import SigningKey
from tests.harness.clock import Seconds

OPTION = "daemons.dkim-sign"


def sources(clock: Seconds | None = None, **options: Any) -> KeySources:
    settings = DkimSign.model_validate({"socket": "inet:8892@127.0.0.1", **options})
    return build(settings, option=OPTION, clock=clock or Seconds())


def problems(**options: Any) -> list[Problem]:
    with pytest.raises(ConfigError) as caught:
        sources(**options)
    found = list(caught.value.problems)
    assert all("\n" not in str(problem) for problem in found)
    return found


def texts(found: list[Problem]) -> list[str]:
    """``line: option: text``, without the part of the option that is always there."""
    return [f"{problem.line}: {problem.key.removeprefix(OPTION + '.')}: {problem.text}" for problem in found]


def names(keys: KeySources, sender: str) -> list[tuple[str, str, str]]:
    """d=, s= and i= of all keys for *sender*."""
    local_part, _, domain = sender.rpartition("@")
    return [named(key) for key in keys.find(local_part, domain)]


def named(key: SigningKey) -> tuple[str, str, str]:
    return key.domain, key.selector, key.identity


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    return path
