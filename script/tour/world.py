"""What the tour takes place in: a mail server for example.nl, and example.org as the rest of the world."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.harness.daemon import Daemon, Installation
from tests.harness.delivery import Delivery
from tests.harness.dns_server import DnsServer
from tests.harness.keys import KeyPair, ed25519_key, rsa_key
from tests.harness.layouts import Layout, layout_a
from tests.harness.opendkim import OpenDkim
from tests.harness.smtp import RefusedError, Reply

AUTHSERV_ID = "mail.example.nl"
_PATIENCE = 10.0
"""How long a mail may take, in seconds."""

_STUCK = re.compile(r"status=(?:deferred|bounced)|reject:|fatal:|panic:")

OUR_DOMAIN, THEIR_DOMAIN = "example.nl", "example.org"


@dataclass(frozen=True)
class Outcome:
    """What became of a mail: the server's reply, and the mail as delivered.

    Without a delivery it was refused, or (with a positive reply) it has got
    stuck, and ``trouble`` is what the mail log says about it.
    """

    reply: Reply
    delivery: Delivery | None
    trouble: str = ""


class World:
    """The servers, the keys and the DNS, up while the ``with`` lasts.

    With *opendkim*, OpenDKIM stands where gatepost's daemons do.
    """

    def __init__(self, *, opendkim: bool = False) -> None:
        self.ours = (rsa_key(OUR_DOMAIN), ed25519_key(OUR_DOMAIN))
        self.theirs = (rsa_key(THEIR_DOMAIN), ed25519_key(THEIR_DOMAIN))
        self.opendkim = opendkim
        self.daemons: dict[str, Daemon] = {}
        self.directory = Path()
        self._layout: Layout | None = None
        self._dns: DnsServer | None = None
        self._running = ExitStack()

    @property
    def records(self) -> dict[str, str]:
        """The keys as the DNS has them: name to TXT record."""
        return {key.name: key.record for key in (*self.ours, *self.theirs)}

    @property
    def layout(self) -> Layout:
        """The Postfix and its filters."""
        if self._layout is None:
            raise RuntimeError("the world is not up")
        return self._layout

    @property
    def dns_address(self) -> str:
        """Where the DNS answers, as ADDRESS:PORT."""
        return "" if self._dns is None else self._dns.address

    def __enter__(self) -> Self:
        with ExitStack() as starting:
            self.directory = Path(
                starting.enter_context(tempfile.TemporaryDirectory(prefix="gatepost-demo-"))
            )
            zone = {name: [{"TXT": record}] for name, record in self.records.items()}
            self._dns = starting.enter_context(DnsServer(zone))
            if self.opendkim:
                verify, sign = self._start_opendkim(starting)
            else:
                verify, sign = self._start_gatepost(starting)
            # Behind the filter gatepost's verifier keeps what it sealed itself; OpenDKIM would begin anew.
            inward = [] if self.opendkim else [verify]
            self._layout = starting.enter_context(layout_a(border=[verify], inward=inward, outward=[sign]))
            self._running = starting.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.close()

    def _start_gatepost(self, starting: ExitStack) -> tuple[str, str]:
        keys = [self._key_entry(key) for key in self.ours]
        installation = Installation(
            self.directory,
            {"dkim-verify": {}, "dkim-sign": {"keys": keys}},
            {"authserv_id": AUTHSERV_ID, "dns": {"nameservers": [self.dns_address]}},
        )
        self.daemons = starting.enter_context(installation).daemons
        return self.daemons["dkim-verify"].milter, self.daemons["dkim-sign"].milter

    def _key_entry(self, key: KeyPair) -> dict[str, str]:
        file = key.write(self.directory / f"{key.domain}.{key.selector}.private")
        return {"domain": key.domain, "selector": key.selector, "file": str(file)}

    def _start_opendkim(self, starting: ExitStack) -> tuple[str, str]:
        verifier = OpenDkim(self.directory / "verifier", records=self.records, authserv_id=AUTHSERV_ID)
        signer = OpenDkim(self.directory / "signer", keys=self.ours[:1])
        return starting.enter_context(verifier).milter, starting.enter_context(signer).milter

    def receive(self, octets: bytes, sender: str, recipient: str) -> Outcome:
        """A mail from the outside world to one of ours."""
        return self._carry(lambda: self.layout.receive(octets, sender, [recipient]), recipient)

    def submit(self, octets: bytes, sender: str, recipient: str) -> Outcome:
        """A mail from our user anna, logged in, to the outside world."""
        return self._carry(lambda: self.layout.submit(octets, sender, [recipient]), recipient)

    def _carry(self, send: Callable[[], Reply], recipient: str) -> Outcome:
        postfix = self.layout.postfix
        before = len(postfix.deliveries(recipient))
        try:
            reply = send()
        except RefusedError as refused:
            return Outcome(refused.reply, None)
        try:
            postfix.wait_for_delivery(recipient, before + 1, _PATIENCE)
        except TimeoutError:
            stuck = [line for line in postfix.log().splitlines() if _STUCK.search(line)]
            return Outcome(reply, None, stuck[-1] if stuck else "the mail log does not say why")
        return Outcome(reply, postfix.deliveries(recipient)[-1])
