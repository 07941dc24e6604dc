"""The whole server in one of its layouts, with the world around it."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tests.harness.certificate import certificate
from tests.harness.keys import KeyPair, ed25519_key, rsa_key
from tests.harness.process import Process
from tests.harness.together import Together
from tests.harness.waiting import wait_for
from tests.pipeline.machine import rewrite
from tests.pipeline.servers import amavis
from tests.pipeline.servers.dns import HOSTED, OUTSIDE, name_server, zone
from tests.pipeline.servers.dovecot import dovecot
from tests.pipeline.servers.gatepost import Gatepost
from tests.pipeline.servers.mariadb import MariaDb
from tests.pipeline.servers.mx import Mx
from tests.pipeline.servers.outside import Outside

ANNA, BERT, CARLA, DORA = "anna@example.nl", "bert@example.nl", "carla@example2.nl", "dora@nokey.nl"
MANY = tuple(f"user{number:02}@example.nl" for number in range(50))
USERS = (ANNA, BERT, CARLA, DORA, *MANY)
ALIASES = {"info@example.nl": ANNA}


class Filters(Protocol):
    """What makes the instances of Amavis, with *further* lines of configuration."""

    def __call__(self, directory: Path, further: str = "") -> list[amavis.Amavis]:
        """They are not started yet."""


@dataclass(frozen=True)
class Layout:
    """Where the content filter stands, and which files and changes that takes."""

    name: str
    postfix: str
    filters: Filters
    changes: Mapping[str, str]
    without: Sequence[str] = ()


LAYOUTS = {
    "A": Layout("A", "filtered", amavis.one_instance, {}),
    "B": Layout(
        "B",
        "proxied",
        amavis.two_instances,
        {"    #verify_local: no     # yes behind smtpd_proxy_filter\n": "    verify_local: yes\n"},
        ["dmarc-stamp"],
    ),
}


class Server(Together):
    """Everything, as a context manager; parts may be stopped and started within.

    *options* are set in main.cf over what is shipped. Without *daemons*, ours are not
    started: others may take their places. The DNS lets its answers be remembered for *ttl* seconds.

    ``gatepost`` holds our daemons by name, ``amavis`` one or two instances; ``dns``, ``mariadb``
    and ``dovecot`` are processes, ``mx`` is the Postfix under test, ``outside`` the one of the world, and
    ``theirs`` are the keys of example.org.
    """

    def __init__(
        self,
        layout: Layout,
        options: Mapping[str, str] | None = None,
        *,
        daemons: bool = True,
        ttl: int = 300,
    ) -> None:
        self.layout = layout
        self._options = options
        self._daemons = daemons
        self._ttl = ttl
        self.directory = Path("/run/pipeline")
        self.theirs: tuple[KeyPair, ...] = (rsa_key(OUTSIDE.domain), ed25519_key(OUTSIDE.domain))

    def _start(self, starting: ExitStack) -> None:
        _tidy(self.directory)
        pem = certificate(rewrite("/etc/ssl/mail.pem", "", mode=0o600))
        self.gatepost = Gatepost(self.directory, self.layout.changes, self.layout.without)
        keys = self.gatepost.keys | {key.name: key.record for key in self.theirs}
        self.dns: Process = starting.enter_context(name_server(self.directory, zone(keys, self._ttl)))
        self.mariadb = MariaDb(self.directory)
        self.mariadb.install()
        starting.enter_context(self.mariadb)
        self.mariadb.fill(HOSTED, USERS, ALIASES)
        self.mx = Mx(self.layout.postfix, pem, self._options)
        self.mx.furnish()
        self.dovecot: Process = starting.enter_context(dovecot(self.directory, pem))
        self.amavis: list[amavis.Amavis] = self.layout.filters(self.directory)
        for instance in self.amavis:
            starting.enter_context(instance)
        for daemon in self.gatepost.daemons.values() if self._daemons else ():
            starting.enter_context(daemon)
        starting.enter_context(self.mx.process)
        self.outside = Outside(self.directory)
        for peer in self.outside.peers:
            starting.enter_context(peer)
        starting.enter_context(self.outside)

    def queue(self) -> list[dict[str, Any]]:
        """What is in the server's queue, as ``postqueue -j`` tells it."""
        done = subprocess.run(["postqueue", "-j"], capture_output=True, text=True, check=True)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def wait_until_idle(self, timeout: float = 60.0) -> None:
        """Wait until the server's queue is empty."""
        wait_for(lambda: not self.queue(), "an empty queue", timeout)


def _tidy(directory: Path) -> None:
    """Take away what a server before this one has left: the machine is the same."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    for path in (
        *(
            "/var/lib/mysql",
            "/var/spool/postfix",
            "/var/lib/postfix",
            "/var/log",
            "/var/lib/amavis",
            "/var/lib/amavis-out",
        ),
        *("/var/mail/vhosts", "/var/lib/gatepost", "/run/dovecot"),
    ):
        for each in Path(path).glob("*"):
            if each.is_dir() and not each.is_symlink():
                shutil.rmtree(each)
            else:
                each.unlink()
