"""The daemons as systemd runs them: restarted on the sockets that it holds, while mail comes in, and nobody notices."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.e2e.support import FRIEND, RESULTS, Traffic, message, nothing_lost, zone_of
from tests.harness.daemon import Daemon, Installation
from tests.harness.dns_server import DnsServer
from tests.harness.keys import rsa_key
from tests.harness.ports import LOOPBACK
from tests.harness.postfix import Postfix, Smtpd
from tests.harness.smtp import STRANGER, Reply, deliver
from tests.harness.units import Unit, start_from_unit
from tests.harness.waiting import wait_for

SECTIONS: Mapping[str, Mapping[str, Any]] = {
    "spf": {},
    "dkim-verify": {"workers": 2},
    "dmarc-enforce": {"kind": "dmarc", "mode": "enforce", "history": None},
}
EXPECTED = ("spf=pass", "dkim=pass", "dmarc=pass")


class Restarted:
    """A Postfix whose mail goes by all three, and the sockets, which outlive every daemon."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        key = rsa_key("example.org")
        self._mail = key.sign(message(FRIEND, "undisclosed-recipients:;"))
        zone: dict[str, Sequence[str | Mapping[str, Any]]] = {
            **zone_of([key]),
            "example.org": [{"TXT": f"v=spf1 ip4:{STRANGER.address} -all"}],
            "_dmarc.example.org": [{"TXT": "v=DMARC1; p=reject"}],
        }
        self.dns = DnsServer(zone)
        self.listeners = {name: self._listener(name) for name in SECTIONS}
        spf, verify, enforce = (self._as_postfix(name) for name in SECTIONS)
        self.postfix = Postfix([Smtpd(name="mx", policy=[spf], milters=[verify, enforce])])

    def _listener(self, name: str) -> socket.socket:
        unit = Unit(f"gatepost@{name}.socket")
        backlog = int(unit.one("Socket", "Backlog"))
        return socket.create_server((LOOPBACK, 0), backlog=backlog)

    def _as_postfix(self, name: str) -> str:
        return f"inet:{LOOPBACK}:{self.listeners[name].getsockname()[1]}"

    def place(self, name: str, number: int) -> Path:
        """The directory of an instance: a short name, as paths of sockets end with the daemon's name again."""
        return self._directory / f"{list(SECTIONS).index(name)}.{number}"

    @contextmanager
    def daemon(self, name: str, number: int) -> Iterator[Daemon]:
        """The *number*th instance of a daemon, started by its unit; it is told to stop in the end."""
        sections = {
            each: {**section, "socket": f"inet:{self.listeners[each].getsockname()[1]}@{LOOPBACK}"}
            for each, section in SECTIONS.items()
        }
        common = {
            "dns": {"nameservers": [self.dns.address]},
            "seal_secret": str(self._directory / "seal.key"),
        }
        directory = self.place(name, number)
        installation = Installation(directory, sections, common)
        daemon = start_from_unit(installation[name], self.listeners[name], directory / "run")
        with daemon:
            yield daemon

    def send(self, number: int) -> Reply:
        return deliver(self.postfix.port("mx"), self._mail, FRIEND, [f"{number}@example.nl"], client=STRANGER)


def test_restarts_by_socket_activation_cost_no_mail(tmp_path: Path) -> None:
    site = Restarted(tmp_path)
    with ExitStack() as running:
        for listener in site.listeners.values():
            running.enter_context(listener)
        running.enter_context(site.dns)
        running.enter_context(site.postfix)
        serving = {name: ExitStack() for name in SECTIONS}
        for name, stack in serving.items():
            running.push(stack)
            stack.enter_context(site.daemon(name, 0))
        with Traffic(site.send) as traffic:
            for number in range(1, 4):
                for name, stack in serving.items():
                    traffic.more(5)
                    stack.close()  # from here on nobody accepts, and Postfix waits
                    started = stack.enter_context(site.daemon(name, number))
                    assert f"took a socket from systemd name={name}" in started.log()
            traffic.more(10)
        delivered = nothing_lost(site.postfix, traffic)
    assert not traffic.put_off
    for delivery in delivered:
        results = " ".join(delivery.values(RESULTS))
        assert [word for word in EXPECTED if word not in results] == []


def test_a_daemon_counts_in_its_runtime_directory_and_keeps_the_watchdog_quiet(tmp_path: Path) -> None:
    site = Restarted(tmp_path)
    with ExitStack() as running:
        for listener in site.listeners.values():
            running.enter_context(listener)
        running.enter_context(site.dns)
        daemon = running.enter_context(site.daemon("dkim-verify", 0))
        [directory] = (site.place("dkim-verify", 0) / "run").iterdir()
        assert {file.suffix for file in directory.iterdir()} == {".db"}
        wait_for(lambda: daemon.told.count("WATCHDOG=1"), "a sign of life")
        assert os.stat(directory).st_mode & 0o077 == 0
