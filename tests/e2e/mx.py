"""A mail server for example.nl with dkim-verify on its port, all of whose parts can be hurt while mail comes in."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from socket import socket
from typing import Any

import psutil

from tests.e2e.support import FRIEND, RESULTS, Traffic, message, nothing_lost, zone_of
from tests.harness.daemon import Daemon, Installation
from tests.harness.delivery import Delivery
from tests.harness.dns_server import DnsServer
from tests.harness.keys import rsa_key
from tests.harness.ports import LOOPBACK
from tests.harness.postfix import Postfix, Smtpd
from tests.harness.smtp import STRANGER, Reply, deliver
from tests.harness.together import Together
from tests.harness.waiting import PATIENCE

DAEMON = "dkim-verify"

PATIENT = {"timeout": f"{PATIENCE:g}s", "message_timeout": f"{PATIENCE:g}s"}
"""Settings under ``dns:`` that have a daemon wait for an answer as long as a test does."""

# What systemd does for a service with a socket (sd_listen_fds(3)): the socket is descriptor 3.
ACTIVATE = """\
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", "LISTEN_FDNAMES": sys.argv[2]}
os.execvp(sys.argv[3], sys.argv[3:])
"""


class Mx(Together):
    """The server, its daemon, and the DNS of the world, up while the ``with`` lasts.

    *section* holds the daemon's options, *common* the rest of the file.
    *wrapper* is a command that starts the daemon, given as its arguments.
    """

    def __init__(
        self,
        directory: Path,
        section: Mapping[str, Any] | None = None,
        *,
        common: Mapping[str, Any] | None = None,
        wrapper: Sequence[str] = (),
    ) -> None:
        self.key = rsa_key("example.org")
        self.mail = self.key.sign(message(FRIEND, "undisclosed-recipients:;"))
        self.dns = DnsServer(zone_of([self.key]))
        self._directory = directory
        self._section = {"seal": False, **(section or {})}
        self._common = common or {}
        self._wrapper = wrapper

    def _start(self, starting: ExitStack) -> None:
        starting.enter_context(self.dns)
        dns = {"nameservers": [self.dns.address], **self._common.get("dns", {})}
        common = {**self._common, "dns": dns}
        self.gatepost = Installation(self._directory, {DAEMON: self._section}, common)
        process = self.daemon.process
        process.command = [*self._wrapper, *process.command]
        starting.enter_context(self.gatepost)
        services = [Smtpd(name="mx", milters=[self.daemon.milter])]
        self.postfix = starting.enter_context(Postfix(services))

    @property
    def daemon(self) -> Daemon:
        """The daemon that all mail goes by."""
        return self.gatepost[DAEMON]

    def send(self, number: int | str, octets: bytes = b"") -> Reply:
        """Send a signed mail, or *octets*, to NUMBER@example.nl, as a server of the world does."""
        to = [f"{number}@example.nl"]
        return deliver(self.postfix.port("mx"), octets or self.mail, FRIEND, to, client=STRANGER)

    def result(self, recipient: str) -> str:
        """The one result on the mail for *recipient*."""
        [delivery] = self.postfix.wait_for_delivery(f"{recipient}@example.nl")
        [value] = delivery.values(RESULTS)
        return value

    def all_is_well(self, traffic: Traffic) -> list[Delivery]:
        """Assert that each mail of *traffic* that was taken has been delivered, once, and has passed."""
        delivered = nothing_lost(self.postfix, traffic)
        results = [delivery.values(RESULTS) for delivery in delivered]
        assert [fields for fields in results if len(fields) != 1 or "dkim=pass" not in fields[0]] == []
        return delivered

    def workers(self) -> list[psutil.Process]:
        """The worker processes."""
        return [each for each in psutil.Process(self.daemon.process.pid).children() if _lives(each)]

    def open_connections(self) -> float:
        """How many connections the daemon counts."""
        return sum(
            value for name, value in self.daemon.metrics().items() if name.startswith("gatepost_connections")
        )

    def said(self, words: str) -> list[str]:
        """The lines of the daemon's log with these words in them."""
        return [line for line in self.daemon.log().splitlines() if words in line]


def activate(daemon: Daemon, listener: socket) -> None:
    """Let *daemon* be started with *listener* as its socket, as by a socket unit of its name."""
    process = daemon.process
    process.descriptors = (listener.fileno(),)
    process.command = [sys.executable, "-c", ACTIVATE, str(listener.fileno()), daemon.name, *process.command]


def holding(worker: psutil.Process, port: int) -> bool:
    """Whether an MTA is connected to *worker* on *port*."""
    return any(
        each.laddr == (LOOPBACK, port) and each.status == psutil.CONN_ESTABLISHED
        for each in worker.net_connections("tcp")
    )


def _lives(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
