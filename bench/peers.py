"""The peers: each with a configuration of its own, in the foreground, with the same DNS.

They log as they do for users, by syslog(3), to a socket that a process reads
into a file: OpenDKIM with ``SyslogSuccess`` and ``LogWhy``, so that it writes
a line with the verdict for each message, as gatepost does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench import mails
from bench.players import Player, Running
from bench.world import AUTHSERV_ID, World, need
from tests.harness.keys import KeyPair
from tests.harness.opendkim import OpenDkim
from tests.harness.process import Process

OPENDKIM, DKIMPY = "OpenDKIM", "dkimpy-milter"


def _started(process: Process, world: World, socket: Path) -> Process:
    """A harness's process, made to run in the world and to listen on a unix socket."""
    process.command = world.enclosed(process.command)
    process._ready = lambda: socket.is_socket()
    return process


def _opendkim(world: World, keys: Sequence[KeyPair], options: Mapping[str, str]) -> Iterator[Running]:
    need("opendkim")
    place = world.place("opendkim")
    socket = place / "socket"
    written = {
        "Socket": f"local:{socket}",
        "Nameservers": world.address,
        "Syslog": "yes",
        "SyslogSuccess": "yes",
        "SoftwareHeader": "no",
        **options,
    }
    process = OpenDkim(
        place, keys=keys, internal=[mails.OUR_CLIENT], authserv_id=AUTHSERV_ID, options=written
    )
    with _started(process, world, socket):
        yield Running(socket, [process.pid])


@contextmanager
def _opendkim_verify(world: World) -> Iterator[Running]:
    yield from _opendkim(world, [], {"Mode": "v"})


OPENDKIM_VERIFY = Player(OPENDKIM, _opendkim_verify)
