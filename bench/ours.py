"""gatepost's daemons, started as an administrator starts them, with all on that is on for users.

Two workers, the metrics page, limits and seals as the defaults have them, and
one log line a message, written to a pipe that another process reads, as
under systemd. ``Variant`` switches one thing off.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from bench.players import OURS, Player, Running
from bench.world import AUTHSERV_ID, World
from tests.harness.daemon import Daemon, Installation

WORKERS = 2


@dataclass(frozen=True)
class Variant:
    """Other options than the usual: of the daemon, and of the whole file."""

    name: str = OURS
    section: Mapping[str, Any] = field(default_factory=dict)
    common: Mapping[str, Any] = field(default_factory=dict)
    metrics: bool = True


USUAL = Variant()


@contextmanager
def installation(
    world: World, sections: Mapping[str, Mapping[str, Any]], variant: Variant
) -> Iterator[Installation]:
    """Daemons of one gatepost.yaml on unix sockets, named as they are; all of them run meanwhile."""
    place = world.place("gatepost")
    written = {
        name: {"workers": WORKERS, "socket": f"unix:{place / name}", **section}
        for name, section in sections.items()
    }
    common = {"authserv_id": AUTHSERV_ID, "dns": {"nameservers": [world.nameserver]}, **variant.common}
    found = Installation(place, written, common)
    if not variant.metrics:
        _without_metrics(found.file)
    fifo = world.reader(place)
    for daemon in found.daemons.values():
        daemon.process.command = ["sh", "-c", 'exec "$@" 2>"$0"', str(fifo), *daemon.process.command]
    with found:
        yield found


def _without_metrics(file: Path) -> None:
    settings = yaml.safe_load(file.read_text())
    for section in settings["daemons"].values():
        del section["metrics"]
    file.write_text(yaml.safe_dump(settings))


def running(daemon: Daemon) -> Running:
    """Where a daemon of an installation is."""
    place = daemon.file.parent
    return Running(place / daemon.name, [daemon.process.pid], place / "stderr.log")


def _player(kind: str, variant: Variant, section: Mapping[str, Any]) -> Player:
    @contextmanager
    def start(world: World) -> Iterator[Running]:
        options = {"kind": kind, **section, **variant.section}
        with installation(world, {kind: options}, variant) as found:
            yield running(found[kind])

    return Player(variant.name, start)


def dkim_verify(variant: Variant = USUAL) -> Player:
    """The verifier."""
    return _player("dkim-verify", variant, {})


def dkim_sign(algorithms: str, variant: Variant = USUAL) -> Player:
    """The signer, with keys of *algorithms*: "rsa", "ed25519" or "both"."""

    @contextmanager
    def start(world: World) -> Iterator[Running]:
        keys = []
        for key in world.signing_keys(algorithms):
            file = world.key_file(key)
            keys.append({"domain": key.domain, "selector": key.selector, "file": str(file)})
        section = {"keys": keys, "require_safe_keys": False, **variant.section}
        with installation(world, {"dkim-sign": section}, variant) as found:
            yield running(found["dkim-sign"])

    return Player(variant.name, start)
