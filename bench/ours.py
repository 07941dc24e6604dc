"""gatepost's daemons, started as an administrator starts them, with all on that is on for users.

Two workers, the metrics page, limits and seals as the defaults have them, and
one log line a message, written to a pipe that another process reads, as
under systemd. A ``Variant`` has one of that otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from bench.endpoint import Endpoint
from bench.missing import need
from bench.players import OURS, Player, Running
from bench.world import AUTHSERV_ID, World
from tests.harness.daemon import Daemon, Installation
from tests.harness.redis_server import RedisServer

WORKERS = 2


@dataclass(frozen=True)
class Variant:
    """Other options than the usual: of the daemon, and of the whole file.

    *metrics* says whether there is a page of them.
    """

    name: str = OURS
    section: Mapping[str, Any] = field(default_factory=dict)
    common: Mapping[str, Any] = field(default_factory=dict)
    metrics: bool = True


USUAL = Variant()


@contextmanager
def installation(
    world: World, sections: Mapping[str, Mapping[str, Any]], variant: Variant = USUAL
) -> Iterator[Installation]:
    """Daemons of one gatepost.yaml; all of them run meanwhile.

    All installations of a world have one seal secret.
    """
    place = world.place("gatepost")
    written = {
        name: {
            "workers": WORKERS,
            "socket": world.endpoint(place, name).libmilter,
            **section,
            **variant.section,
        }
        for name, section in sections.items()
    }
    common = {
        "authserv_id": AUTHSERV_ID,
        "seal_secret": str(world.directory / "seal.key"),
        "dns": {"nameservers": [world.nameserver]},
        **variant.common,
    }
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
    socket = yaml.safe_load(daemon.file.read_text())["daemons"][daemon.name]["socket"]
    kind, _, place = socket.partition(":")
    endpoint = Endpoint(Path(place)) if kind == "local" else Endpoint(port=int(place.partition("@")[0]))
    return Running(endpoint, [daemon.process.pid])


@contextmanager
def _daemon(world: World, kind: str, variant: Variant, section: Mapping[str, Any]) -> Iterator[Running]:
    with installation(world, {kind: section}, variant) as found:
        yield running(found[kind])


def dkim_verify(variant: Variant = USUAL) -> Player:
    """The verifier."""

    @contextmanager
    def start(world: World) -> Iterator[Running]:
        with _daemon(world, "dkim-verify", variant, {}) as daemon:
            yield daemon

    return Player(variant.name, start)


def dkim_sign(algorithms: str, variant: Variant = USUAL) -> Player:
    """The signer, with keys of *algorithms*: "rsa", "ed25519" or "both"."""

    @contextmanager
    def start(world: World) -> Iterator[Running]:
        keys = [
            {"domain": key.domain, "selector": key.selector, "file": str(world.key_file(key))}
            for key in world.signing_keys(algorithms)
        ]
        with _daemon(world, "dkim-sign", variant, {"keys": keys}) as daemon:
            yield daemon

    return Player(variant.name, start)


def dmarc(variant: Variant = USUAL) -> Player:
    """DMARC where mail comes in, with its history."""

    @contextmanager
    def start(world: World) -> Iterator[Running]:
        section = {"mode": "enforce", "history": str(world.place("history") / "dmarc.db")}
        with _daemon(world, "dmarc", variant, section) as daemon:
            yield daemon

    return Player(variant.name, start)


def spf(variant: Variant = USUAL) -> Player:
    """The SPF policy service."""

    @contextmanager
    def start(world: World) -> Iterator[Running]:
        with _daemon(world, "spf", variant, {}) as daemon:
            yield daemon

    return Player(variant.name, start)


def greylist(store: Literal["sqlite", "redis"], delay: int) -> Player:
    """Greylisting with that store; *delay* is in seconds."""

    @contextmanager
    def start(world: World) -> Iterator[Running]:
        with ExitStack() as stack:
            place = world.place("store")
            url = f"sqlite:{place / 'greylist.sqlite'}"
            if store == "redis":
                need("redis-server")
                server = RedisServer(place)
                as_by_default(server)
                url = stack.enter_context(server).url
            section = {"store": url, "delay": delay}
            yield stack.enter_context(_daemon(world, "greylist", USUAL, section))

    return Player(OURS, start)


def as_by_default(server: RedisServer) -> None:
    """Without the file that is written before each answer: few run a Redis so."""
    command = server.process.command
    server.process.command = command[: command.index("--appendonly")]
