"""The configuration that is shipped can be used as it is."""

from __future__ import annotations

from pathlib import Path

from gatepost.config.host import Host
from gatepost.config.load import parse

CONF = Path(__file__).parents[3] / "conf"


def test_the_shipped_file_is_valid() -> None:
    text = (CONF / "gatepost.yaml").read_text()
    host = Host(user_exists={"gatepost", "gatepost-sign"}.__contains__, group_exists={"postfix"}.__contains__)
    loaded = parse(text, "gatepost.yaml", host)
    assert set(loaded.config.daemons) == {
        *("dkim-verify", "dmarc-enforce", "dmarc-stamp", "dkim-sign", "spf", "greylist")
    }
    assert loaded.warnings == ()
