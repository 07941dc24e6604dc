"""The page on migration says what gatepost import does."""

from __future__ import annotations

import re

from gatepost.config.settings import KINDS, Config
from gatepost.importing.catalogue import Fate
from gatepost.importing.take_over import PEERS
from script.migration import TARGET, page


def test_the_page_is_up_to_date() -> None:
    assert TARGET.read_text() == page(), "run script/migration.py"


def test_what_options_become_exists() -> None:
    ours = set(Config.model_fields) | {name for model in KINDS.values() for name in model.model_fields}
    for catalogue in PEERS.values():
        for known in catalogue:
            if known.fate is Fate.CARRIED:
                for option in re.findall(r"`([a-z0-9_]+)[^`]*`", known.text):
                    assert option in ours | {"mode", "daemon_name", "dkim", "subdomains"}, known
