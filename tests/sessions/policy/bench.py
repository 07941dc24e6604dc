"""The bench on which policy sessions are recorded: a private Postfix, a service, and a proxy between the two."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from policy.recording.events import Connection
from policy.recording.language import POLICY
from policy.recording.tap import Tap
from tests.harness.ports import LOOPBACK, free_port
from tests.harness.postfix import Postfix, Smtpd
from tests.harness.smtp import STRANGER, Client, DisconnectedError, RefusedError, Session
from tests.harness.together import Together
from tests.harness.waiting import wait_for
from tests.sessions.daemons import NOW
from tests.sessions.mails import BERT, mail
from tests.sessions.policy.daemons import NAMES, daemon
from tests.sessions.recorder import Recorder

LOGIN = ("anna@example.nl", "secret")
_AFTER = "permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination"


class Bench(Together):
    """As a context manager. ``now`` is the services' time, in seconds since 1970.

    Each smtpd serves one client and leaves, so that one SMTP connection makes
    one connection to the service.
    """

    def __init__(self) -> None:
        self.now = NOW
        self._recorder = Recorder()
        self._ports = {name: free_port() for name in NAMES}
        self.postfix = Postfix(
            self._services(),
            users=dict([LOGIN]),
            # A connection to the service ends with its smtpd, and that with its client.
            options={"max_use": "1", "smtpd_delay_reject": "no", "smtputf8_enable": "yes"},
        )

    def _services(self) -> Sequence[Smtpd]:
        ask = {name: f"check_policy_service inet:{LOOPBACK}:{self._ports[name]}" for name in NAMES}
        strict, spf = ask["spf-strict"], ask["spf"]
        everywhere = {
            f"smtpd_{stage}_restrictions": spf
            for stage in ("client", "helo", "sender", "data", "end_of_data", "etrn")
        }
        options: dict[str, dict[str, str]] = {
            **{name: {"smtpd_recipient_restrictions": f"{ask[name]}, {_AFTER}"} for name in NAMES},
            "spf-everywhere": {"smtpd_recipient_restrictions": f"{spf}, {_AFTER}", **everywhere},
        }
        options["spf-strict"]["smtpd_data_restrictions"] = strict
        return [
            Smtpd(name=name, sasl=True, options={"smtpd_relay_restrictions": "", **each})
            for name, each in options.items()
        ]

    @contextmanager
    def recording(self, name: str) -> Iterator[list[Connection]]:
        """Run the service *name*, which remembers nothing; gives the connections that it has had meanwhile."""
        self.now = NOW
        found: list[Connection] = []
        language = POLICY._replace(ear=partial(Tap, lambda: self.now))
        with tempfile.TemporaryDirectory(prefix="gatepost-") as scratch:
            service = daemon(name, Path(scratch), lambda: self.now)
            with self._recorder.recording(service, self._ports[name], language) as recorded:
                yield found
                wait_for(lambda: all(pages.closed for pages in recorded), f"the end of {name}'s sessions")
        found += [Connection(pages.events) for pages in recorded]

    @contextmanager
    def connect(
        self,
        service: str,
        client: Client | None = STRANGER,
        login: tuple[str, str] | None = None,
        end: str = "quit",
    ) -> Iterator[Session]:
        """An SMTP connection that has greeted, as *client* and with *login*, and ends by quit, close or abort."""
        session = Session(self.postfix.port(service))
        session.ehlo(client.helo if client else "client.example.nl")
        if client is not None:
            address = f"IPV6:{client.address}" if ":" in client.address else client.address
            name = client.name or "[UNAVAILABLE]"
            session.command(f"XCLIENT NAME={name} ADDR={address} PORT=40000 HELO={client.helo}")
            session.command(f"EHLO {client.helo}")
        if login is not None:
            session.login(*login)
        try:
            yield session
            getattr(session, end)()
        except DisconnectedError:
            pass
        finally:
            session.close()

    def sends(
        self,
        service: str,
        sender: str,
        *recipients: str,
        client: Client | None = STRANGER,
        login: tuple[str, str] | None = None,
        parameters: Sequence[str] = (),
        messages: int = 1,
        pipelined: bool = False,
    ) -> list[str]:
        """Mail from *sender* on one connection; gives what each message came to, in a word or a reply."""
        told = []
        with self.connect(service, client, login) as session:
            for _ in range(messages):
                send = session.send_pipelined if pipelined else session.send
                try:
                    send(mail(), sender, recipients or (BERT,), *parameters)
                    told.append("accepted")
                except RefusedError as error:
                    told.append(f"{error.reply.code} {error.reply.text}")
                    session.command("RSET")
        return told

    def _start(self, starting: ExitStack) -> None:
        starting.enter_context(self._recorder)
        starting.enter_context(self.postfix)
