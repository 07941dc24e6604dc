"""The bench on which sessions are recorded: a private Postfix, the daemons, and between each two a proxy."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from milters.recording.events import Connection
from milters.recording.language import MILTER
from tests.harness.passthrough import PassThrough
from tests.harness.ports import LOOPBACK, free_port
from tests.harness.postfix import Postfix, Smtpd
from tests.harness.smtp import Client, Session
from tests.harness.together import Together
from tests.harness.waiting import wait_for
from tests.sessions.daemons import daemon
from tests.sessions.recorder import Pages, Recorder

NAMES = (
    "verify",
    "verify-strict",
    "verify-proxied",
    "verify-inside",
    "sign",
    "sign-both",
    "sign-picky",
    "dmarc",
    "dmarc-strict",
    "dmarc-inside",
)
LOGIN = ("anna@example.nl", "secret")


class Bench(Together):
    """As a context manager. ``recorded`` holds the connections to each daemon, by its name."""

    def __init__(self) -> None:
        self.recorded: dict[str, list[Pages]] = {}
        self._ports = {name: free_port() for name in NAMES}
        self._behind = {name: free_port() for name in ("verify-inside", "dmarc-inside")}
        self._filters = {name: PassThrough(port) for name, port in self._behind.items()}
        self.postfix = Postfix(
            self._services(),
            users=dict([LOGIN]),
            options={
                "header_size_limit": "1000000",
                "smtpd_recipient_limit": "100",
                "local_header_rewrite_clients": "",
            },
        )

    def _services(self) -> Sequence[Smtpd]:
        services = []
        for name in NAMES:
            services.append(
                Smtpd(
                    name=name,
                    port=self._behind.get(name) or free_port(),
                    milters=[f"inet:{LOOPBACK}:{self._ports[name]}"],
                    sasl=True,
                    networks=["127.0.0.0/8", "198.51.100.0/24"],
                    daemon_name="ORIGINATING" if name == "sign-picky" else "",
                )
            )
        for name, milters, inside in (
            ("filtered", ["verify"], "verify-inside"),
            ("filtered-verify", ["verify"], "dmarc-inside"),
            ("filtered-dmarc", ["dmarc"], "dmarc-inside"),
            ("verified", ["verify", "dmarc"], ""),
        ):
            services.append(
                Smtpd(
                    name=name,
                    milters=[f"inet:{LOOPBACK}:{self._ports[milter]}" for milter in milters],
                    content_filter=f"filter:[{LOOPBACK}]:{self._filters[inside].port}" if inside else "",
                )
            )
        services.append(
            Smtpd(
                name="plain-sign-picky",
                milters=[f"inet:{LOOPBACK}:{self._ports['sign-picky']}"],
            )
        )
        return services

    @property
    def version(self) -> str:
        """Postfix's."""
        done = subprocess.run(["postconf", "-dh", "mail_version"], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def connect(
        self, service: str, client: Client | None = None, login: tuple[str, str] | None = None
    ) -> Session:
        """Connect to an smtpd service and greet, as *client* (by XCLIENT) and with *login* where given."""
        session = Session(self.postfix.port(service))
        session.ehlo(client.helo if client else "client.example.nl")
        if client is not None:
            address = f"IPV6:{client.address}" if ":" in client.address else client.address
            name = client.name or "[UNAVAILABLE]"
            session.command(f"XCLIENT NAME={name} ADDR={address} PORT=40000 HELO={client.helo}", need=True)
            session.ehlo(client.helo)
        if login is not None:
            session.login(*login)
        return session

    def wait_for_recording(self, name: str) -> Connection:
        """The connection to that daemon that was made last, complete; and forget all there were."""

        def complete() -> bool:
            pages = self.recorded[name]
            return bool(pages) and all(each.closed for some in self.recorded.values() for each in some)

        wait_for(complete, f"the end of the connection to {name}")
        found = self.recorded[name][-1]
        for pages in self.recorded.values():
            pages.clear()
        return Connection(found.events)

    def _start(self, starting: ExitStack) -> None:
        scratch = Path(starting.enter_context(tempfile.TemporaryDirectory(prefix="gatepost-")))
        recorder = starting.enter_context(Recorder())
        for name in NAMES:
            serving = recorder.recording(daemon(name, scratch), self._ports[name], MILTER)
            self.recorded[name] = starting.enter_context(serving)
        for each in self._filters.values():
            starting.enter_context(each)
        starting.enter_context(self.postfix)
