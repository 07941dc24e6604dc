"""The server of a soak: Postfix with a content filter, all six daemons with two workers each, and what they lean on."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil

from tests.e2e.support import key_entries
from tests.harness.accounting.mail import Mail
from tests.harness.accounting.traffic import PATIENCE
from tests.harness.clock import Clock
from tests.harness.daemon import Daemon, Installation
from tests.harness.delivery import Delivery
from tests.harness.dns_server import DnsServer
from tests.harness.layouts import LOGIN, layout_a
from tests.harness.postfix import Postfix
from tests.harness.redis_server import RedisServer
from tests.harness.smtp import Session
from tests.harness.together import Together
from tests.soak.world import World

WORKERS = 2
DELAY = 2
"""Seconds for which a newcomer waits."""
REMEMBERED = 3
"""Seconds for which an answer of the DNS may be kept: its faults are to be felt."""


class Site(Together):
    """All of it, up while the ``with`` lasts; files and logs lie in *directory*."""

    def __init__(self, directory: Path, world: World) -> None:
        self.directory = directory
        self.world = world
        self.zone = world.zone(REMEMBERED)
        self.dns = DnsServer(self.zone)
        self.sqlite = directory / "greylist.sqlite"
        self.history = directory / "dmarc.sqlite"

    def _start(self, starting: ExitStack) -> None:
        starting.enter_context(self.dns)
        place = starting.enter_context(tempfile.TemporaryDirectory(prefix="gatepost-"))
        self.redis = starting.enter_context(RedisServer(Path(place)))
        self.clock = starting.enter_context(Clock(self.directory / "clock"))
        self.sections = self._sections()
        self.gatepost = Installation(self.directory, self.sections, self._common())
        for daemon in self.gatepost.daemons.values():
            daemon.process.command = self.clock.command(daemon.process.command)
        starting.enter_context(self.gatepost)

    def start_postfix(self) -> Postfix:
        """Postfix, which runs until ``stop_postfix``."""
        daemons = self.gatepost
        self._layout = layout_a(
            border=[daemons["dkim-verify"].milter, daemons["dmarc-enforce"].milter],
            inward=[daemons["dkim-verify"].milter, daemons["dmarc-stamp"].milter],
            outward=[daemons["dkim-sign"].milter],
            policy=[daemons["spf"].milter, daemons["greylist"].milter],
        )
        self._layout.__enter__()
        return self._layout.postfix

    def stop_postfix(self) -> None:
        """Stop it, and with it all connections to the daemons."""
        self._layout.__exit__(None, None, None)

    def send(self, mail: Mail) -> None:
        """Try once to send a mail. Raises RefusedError, DisconnectedError, OSError."""
        user = mail.kind.user
        with Session(self._layout.postfix.port("submission" if user else "mx"), PATIENCE) as session:
            if user:
                session.ehlo()
                session.login(*LOGIN)
            else:
                session.become(mail.client)
            session.send(mail.octets, mail.sender, mail.recipients)
            session.quit()

    def take(self) -> list[Delivery]:
        """What has arrived since the last call, inside and outside."""
        return self._layout.postfix.take_deliveries()

    def _common(self) -> dict[str, Any]:
        return {
            "dns": {"nameservers": [self.dns.address], "timeout": "2s", "message_timeout": "4s"},
            "trusted_networks": ["127.0.0.0/8"],
        }

    def _sections(self) -> dict[str, dict[str, Any]]:
        enforce = {
            "on_temperror": "tempfail",
            "on_quarantine": "header",
            "indirect_mail": "accept",
            "history": str(self.history),
        }
        sections: dict[str, dict[str, Any]] = {
            "dkim-verify": {"on_temperror": "tempfail"},
            "dkim-sign": {"keys": key_entries(self.directory, [self.world.ours])},
            "dmarc-enforce": {"kind": "dmarc", "mode": "enforce", **enforce},
            "dmarc-stamp": {"kind": "dmarc", "mode": "stamp", "on_temperror": "tempfail"},
            "spf": {},
            "greylist": {"delay": DELAY, "auto_allow": 0, "store": self.redis.url},
        }
        return {name: {"workers": WORKERS, **options} for name, options in sections.items()}

    @property
    def daemons(self) -> list[Daemon]:
        """The six."""
        return list(self.gatepost.daemons.values())


def processes(daemon: Daemon) -> list[psutil.Process]:
    """The daemon's supervisor, and then its workers."""
    supervisor = psutil.Process(daemon.process.pid)
    return [supervisor, *supervisor.children()]
