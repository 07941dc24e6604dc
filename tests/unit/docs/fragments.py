"""Pieces of a gatepost.yaml, as pages show them, made whole so that they can be loaded."""

from __future__ import annotations

import itertools
import json
from typing import Any

import yaml

from gatepost.config.dkim_settings import SigningKeyEntry
from gatepost.config.errors import ConfigError
from gatepost.config.host import Host
from gatepost.config.load import Loaded, parse
from gatepost.config.settings import KINDS, Config

HOST = Host(
    name=lambda: "mail.example.nl",
    user_exists=lambda name: True,
    group_exists=lambda name: True,
    has_pymilter=lambda: True,
)
_COMPANIONS: dict[str, dict[str, Any]] = {
    "dkim-sign": {
        "keys": [{"domain": "example.nl", "selector": "mail", "file": "/etc/gatepost/mail.private"}]
    },
    "greylist": {"recipient_domains": ["example.nl"]},
}
"""What some options of these kinds cannot be without."""

_PORTS = itertools.count(20000)


def loaded(text: str) -> Loaded:
    """The configuration of which *text* is a piece. Raises ConfigError where none can be made of it.

    A piece is a whole file, some of its sections, some daemons, some options of
    one daemon, or a part of an entry of ``keys``. A daemon without a socket gets one.
    """
    data = yaml.safe_load(text)
    if not isinstance(data, dict):
        raise TypeError("no mapping")
    if set(data) <= set(Config.model_fields):
        if "daemons" not in data:
            data["daemons"] = {"dkim-verify": None}
        return _whole(data)
    if all(_is_daemon(name, each) for name, each in data.items()):
        return _whole({"daemons": data})
    faults: list[ConfigError] = []
    if set(data) <= set(SigningKeyEntry.model_fields):
        entry = {**_COMPANIONS["dkim-sign"]["keys"][0], **data}
        return _whole({"daemons": {"dkim-sign": {"keys": [entry]}}})
    for kind in KINDS:
        try:
            return _whole({"daemons": {kind: data}})
        except ConfigError as error:
            faults.append(error)
    raise min(faults, key=lambda each: len(each.problems))


def _is_daemon(name: str, value: object) -> bool:
    # `spf: yes` is an option of greylist.
    return isinstance(value, dict) and (name in KINDS or "kind" in value)


def _whole(data: dict[str, Any]) -> Loaded:
    for name, daemon in data["daemons"].items():
        daemon = data["daemons"][name] = dict(daemon or {})
        daemon.setdefault("socket", f"inet:{next(_PORTS)}@127.0.0.1")
        for option, value in _COMPANIONS.get(daemon.get("kind", name), {}).items():
            daemon.setdefault(option, value)
    # A JSON text is a YAML text too; durations and the like stay the text that they are.
    return parse(json.dumps(data, default=str), "gatepost.yaml", HOST)
