"""The policy services of gatepost.yaml, with DNS and the secret of the seals held still, and a clock that is set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from gatepost.cli.prepare import prepare
from gatepost.config.host import Host
from gatepost.config.load import parse
from policy.assembly import PolicyDaemon
from tests.sessions.daemons import filled_in

HERE = Path(__file__).parent
NAMES = ("spf", "spf-strict", "greylist")


def daemon(name: str, scratch: Path, clock: Callable[[], float]) -> PolicyDaemon:
    """The service called *name*; *scratch* is a directory for its secret and for what it remembers."""
    text = filled_in(HERE / "gatepost.yaml", scratch)
    prepared = prepare(parse(text, "gatepost.yaml", Host()).config, name)
    assert isinstance(prepared, PolicyDaemon)
    return replace(prepared, clock=clock)
