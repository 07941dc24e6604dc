"""The bench on which policy sessions are recorded: a private Postfix, a service, and a proxy between the two."""

from __future__ import annotations

import asyncio
import tempfile
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from gatepost.cli.replay import running
from gatepost.recording.proxy import Proxy
from policy.recording.events import Connection, Event
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

T = TypeVar("T")

LOGIN = ("anna@example.nl", "secret")
_AFTER = "permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination"


class Pages:
    """One connection while it is recorded."""

    def __init__(self) -> None:
        self.connection = Connection()
        self.closed = False

    def write(self, events: list[Event]) -> None:
        self.connection.events += events

    def close(self) -> None:
        self.closed = True


class Bench(Together):
    """As a context manager. ``now`` is the services' time, in seconds since 1970.

    Each smtpd serves one client and leaves, so that one SMTP connection makes
    one connection to the service.
    """

    def __init__(self) -> None:
        self.now = NOW
        self._recorded: list[Pages] = []
        self._loop = asyncio.new_event_loop()
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
        self._recorded.clear()
        found: list[Connection] = []
        with tempfile.TemporaryDirectory(prefix="gatepost-") as scratch:
            stop = self._on_loop(self._serve(name, Path(scratch)))
            try:
                yield found
                wait_for(
                    lambda: all(pages.closed for pages in self._recorded), f"the end of {name}'s sessions"
                )
            finally:
                self._on_loop(stop())
        found += [pages.connection for pages in self._recorded]

    async def _serve(self, name: str, scratch: Path) -> Callable[[], Coroutine[Any, Any, None]]:
        service = running(daemon(name, scratch, lambda: self.now))
        address = await service.__aenter__()

        def open_pages() -> Pages:
            self._recorded.append(Pages())
            return self._recorded[-1]

        def complain(text: str) -> None:
            raise RuntimeError(text)

        language = POLICY._replace(ear=partial(Tap, lambda: self.now))
        proxy = Proxy(address, open_pages, complain, language)
        server = await asyncio.start_server(proxy.serve, LOOPBACK, self._ports[name])

        async def stop() -> None:
            server.close()
            await proxy.stop()
            await service.__aexit__(None, None, None)

        return stop

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
        thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        thread.start()
        starting.callback(thread.join, 5)
        starting.callback(self._loop.call_soon_threadsafe, self._loop.stop)
        starting.enter_context(self.postfix)

    def _on_loop(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)
