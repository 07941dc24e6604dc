"""The peers: each with a configuration of its own, in the foreground, with the same DNS.

They log as they do for users, by syslog(3), to a socket that a process reads
into a file: OpenDKIM with ``SyslogSuccess``, so that it tells of each message,
as gatepost does, but without ``LogWhy``, which adds lines. policyd-spf is started as Postfix's spawn(8) starts
it, a process for each connection that has the connection as its standard
input and output. What a peer keeps on disk by default, it keeps.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench import mails
from bench.endpoint import Endpoint
from bench.missing import MissingError, need
from bench.players import Player, Running
from bench.world import AUTHSERV_ID, World
from tests.harness.keys import KeyPair
from tests.harness.opendkim import OpenDkim
from tests.harness.opendmarc import OpenDmarc
from tests.harness.peer import Expendable
from tests.harness.ports import LOOPBACK

OPENDKIM, DKIMPY = "OpenDKIM", "dkimpy-milter"
OPENDMARC = "OpenDMARC"
POLICYD_SPF = "policyd-spf"
POSTGREY = "postgrey"


@contextmanager
def _peer(world: World, place: Path, command: Sequence[str], endpoint: Endpoint) -> Iterator[Running]:
    """A program in the world, ready once it listens."""
    with Expendable(world.enclosed(command), place / "log", ready=endpoint.ready) as process:
        yield Running(endpoint, [process.pid])


@contextmanager
def _opendkim(world: World, keys: Sequence[KeyPair], options: Mapping[str, str]) -> Iterator[Running]:
    need("opendkim")
    place = world.place("opendkim")
    endpoint = world.endpoint(place)
    configured = OpenDkim(
        place,
        keys=keys,
        internal=[mails.OUR_CLIENT],
        authserv_id=AUTHSERV_ID,
        options={
            "Socket": endpoint.libmilter,
            "Nameservers": world.address,
            "Syslog": "yes",
            "SyslogSuccess": "yes",
            "LogWhy": "no",
            **options,
        },
    )
    with _peer(world, place, configured.command, endpoint) as running:
        yield running


def opendkim_verify() -> Player:
    """OpenDKIM as verifier."""

    @contextmanager
    def start(world: World) -> Iterator[Running]:
        with _opendkim(world, [], {"Mode": "v"}) as running:
            yield running

    return Player(OPENDKIM, start)


def opendkim_sign(algorithms: str) -> Player:
    """OpenDKIM as signer."""

    @contextmanager
    def start(world: World) -> Iterator[Running]:
        if algorithms != "rsa":
            raise MissingError("does not sign with Ed25519 in this build")
        with _opendkim(world, world.signing_keys(algorithms), {"Mode": "s"}) as running:
            yield running

    return Player(OPENDKIM, start)


@contextmanager
def _dkimpy(world: World, options: Mapping[str, str]) -> Iterator[Running]:
    need("dkimpy-milter")
    place = world.place("dkimpy")
    endpoint = world.endpoint(place)
    settings = {
        "Socket": endpoint.libmilter,
        "Syslog": "yes",
        "SyslogSuccess": "yes",
        "UMask": "007",
        "PidFile": str(place / "pid"),
        "UserID": "root",
        "AuthservID": AUTHSERV_ID,
        "InternalHosts": mails.OUR_CLIENT,
        "Canonicalization": "relaxed/relaxed",
        **options,
    }
    configuration = place / "dkimpy-milter.conf"
    configuration.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
    with _peer(world, place, ["dkimpy-milter", str(configuration)], endpoint) as running:
        yield running


def dkimpy_verify() -> Player:
    """dkimpy-milter as verifier."""

    @contextmanager
    def start(world: World) -> Iterator[Running]:
        with _dkimpy(world, {"Mode": "v"}) as running:
            yield running

    return Player(DKIMPY, start)


def dkimpy_sign(algorithms: str) -> Player:
    """dkimpy-milter as signer."""

    @contextmanager
    def start(world: World) -> Iterator[Running]:
        options = {"Mode": "s"}
        for key in world.signing_keys(algorithms):
            options["Domain"] = key.domain
            if isinstance(key.private, Ed25519PrivateKey):
                seed = world.directory / "ed25519.seed"
                seed.write_bytes(base64.b64encode(key.private.private_bytes_raw()))
                seed.chmod(0o600)
                options |= {"KeyFileEd25519": str(seed), "SelectorEd25519": key.selector}
            else:
                options |= {"KeyFile": str(world.key_file(key)), "Selector": key.selector}
        with _dkimpy(world, options) as running:
            yield running

    return Player(DKIMPY, start)


def opendmarc() -> Player:
    """OpenDMARC on the results of others, with its history file."""

    @contextmanager
    def start(world: World) -> Iterator[Running]:
        need("opendmarc")
        place = world.place("opendmarc")
        endpoint = world.endpoint(place)
        configured = OpenDmarc(
            place,
            authserv_id=AUTHSERV_ID,
            options={
                "Socket": endpoint.libmilter,
                "Syslog": "yes",
                "HistoryFile": str(place / "history"),
            },
        )
        with _peer(world, place, configured.command, endpoint) as running:
            yield running

    return Player(OPENDMARC, start)


def policyd_spf() -> Player:
    """policyd-spf, a process a connection."""

    @contextmanager
    def start(world: World) -> Iterator[Running]:
        need("policyd-spf", "socat")
        place = world.place("policyd-spf")
        endpoint = Endpoint(place / "socket")  # spawn(8) knows TCP too, but nobody has it so
        configuration = place / "policyd-spf.conf"
        configuration.write_text(
            "debugLevel = 1\nTestOnly = 1\nHELO_reject = Fail\nMail_From_reject = Fail\n"
            "PermError_reject = False\nTempError_Defer = False\n"
            f"Header_Type = AR\nAuthserv_Id = {AUTHSERV_ID}\n"
        )
        spawn = [
            "socat",
            f"UNIX-LISTEN:{endpoint.path},fork,mode=666,backlog=128",
            f"EXEC:policyd-spf {configuration},nofork",
        ]
        with _peer(world, place, spawn, endpoint) as running:
            yield running

    return Player(POLICYD_SPF, start)


def postgrey(delay: int) -> Player:
    """postgrey with its default lists. *delay* is in seconds."""

    @contextmanager
    def start(world: World) -> Iterator[Running]:
        need("postgrey")
        place = world.place("postgrey")
        endpoint = world.endpoint(place)
        command = [
            "postgrey",
            f"--unix={endpoint.path}" if endpoint.path else f"--inet={LOOPBACK}:{endpoint.port}",
            f"--dbdir={place}",
            f"--pidfile={place / 'pid'}",
            "--user=root",
            "--group=root",
            f"--delay={delay}",
        ]
        with _peer(world, place, command, endpoint) as running:
            yield running

    return Player(POSTGREY, start)
