"""What the tour takes place in: a mail server for example.nl, and example.org as the rest of the world."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.harness.daemon import Daemon, Installation
from tests.harness.delivery import Delivery
from tests.harness.dns_server import DnsServer
from tests.harness.keys import KeyPair, ed25519_key, rsa_key
from tests.harness.layouts import Layout, layout_a
from tests.harness.opendkim import OpenDkim
from tests.harness.opendmarc import OpenDmarc
from tests.harness.smtp import STRANGER, Client, RefusedError, Reply
from tests.harness.together import Together
from tests.harness.waiting import wait_for

AUTHSERV_ID = "mail.example.nl"
_PATIENCE = 10.0
"""How long a mail may take, in seconds."""

_COMES_AGAIN = 0.5
"""Seconds after which a server of the tour tries again; those out there wait for minutes."""

GREYLIST_DELAY = 2
"""Seconds that a stranger's first mail waits here. Usual are 300."""

_HELD = ": milter-hold: "
_STUCK = re.compile(r"status=(?:deferred|bounced)|reject:|fatal:|panic:")

OUR_DOMAIN, THEIR_DOMAIN = "example.nl", "example.org"

POLICIES = {
    f"_dmarc.{THEIR_DOMAIN}": "v=DMARC1; p=none",
    "_dmarc.bank.example": "v=DMARC1; p=reject; sp=none; np=reject",
    "_dmarc.shop.example": "v=DMARC1; p=quarantine",
    THEIR_DOMAIN: f"v=spf1 ip4:{STRANGER.address} -all",
    "bank.example": "v=spf1 ip4:203.0.113.5 -all",
}
"""What the domains of the world say of their mail: name to TXT record."""


@dataclass(frozen=True)
class Outcome:
    """What became of a mail: the server's reply, and the mail as delivered.

    Without a delivery it was refused, or (with a positive reply) it is ``held``
    in the hold queue or has got stuck, and ``trouble`` is what the mail log says
    about it. ``put_off`` is the first 4yz reply, after which it came again.
    """

    reply: Reply
    delivery: Delivery | None
    trouble: str = ""
    held: bool = False
    put_off: Reply | None = None


class World(Together):
    """The servers, the keys and the DNS, up while the ``with`` lasts.

    With *opendkim*, OpenDKIM and OpenDMARC stand where gatepost's daemons do.
    """

    def __init__(self, *, opendkim: bool = False) -> None:
        self.ours = (rsa_key(OUR_DOMAIN), ed25519_key(OUR_DOMAIN))
        self.theirs = (rsa_key(THEIR_DOMAIN), ed25519_key(THEIR_DOMAIN))
        self.opendkim = opendkim
        self.daemons: dict[str, Daemon] = {}
        self.directory = Path()
        self._layout: Layout | None = None
        self._dns: DnsServer | None = None

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

    def _start(self, starting: ExitStack) -> None:
        self.directory = Path(starting.enter_context(tempfile.TemporaryDirectory(prefix="gatepost-demo-")))
        zone = {name: [{"TXT": record}] for name, record in (self.records | POLICIES).items()}
        self._dns = starting.enter_context(DnsServer(zone))
        layout = self._start_peers(starting) if self.opendkim else self._start_gatepost(starting)
        self._layout = starting.enter_context(layout)

    def _start_gatepost(self, starting: ExitStack) -> Layout:
        keys = [self._key_entry(key) for key in self.ours]
        installation = Installation(
            self.directory,
            {
                "dkim-verify": {},
                "dkim-sign": {"keys": keys},
                "dmarc-enforce": {
                    "kind": "dmarc",
                    "mode": "enforce",
                    "history": str(self.directory / "dmarc.db"),
                },
                "dmarc-stamp": {"kind": "dmarc", "mode": "stamp"},
                # Beside dmarc-enforce the default is to refuse nothing by SPF alone.
                "spf": {"mail_from_reject": "fail"},
                "greylist": {
                    "store": str(self.directory / "greylist.sqlite"),
                    "delay": GREYLIST_DELAY,
                    "allow": {"clients": [THEIR_DOMAIN]},
                },
            },
            {"authserv_id": AUTHSERV_ID, "dns": {"nameservers": [self.dns_address]}},
        )
        self.daemons = starting.enter_context(installation).daemons
        at = {name: daemon.milter for name, daemon in self.daemons.items()}
        return layout_a(
            border=[at["dkim-verify"], at["dmarc-enforce"]],
            inward=[at["dkim-verify"], at["dmarc-stamp"]],
            outward=[at["dkim-sign"]],
            policy=[at["spf"], at["greylist"]],
        )

    def _key_entry(self, key: KeyPair) -> dict[str, str]:
        file = key.write(self.directory / f"{key.domain}.{key.selector}.private")
        return {"domain": key.domain, "selector": key.selector, "file": str(file)}

    def _start_peers(self, starting: ExitStack) -> Layout:
        verifier = OpenDkim(self.directory / "verifier", records=self.records, authserv_id=AUTHSERV_ID)
        signer = OpenDkim(self.directory / "signer", keys=self.ours[:1])
        policies = OpenDmarc(self.directory / "dmarc", records=POLICIES, authserv_id=AUTHSERV_ID)
        for peer in (verifier, signer, policies):
            starting.enter_context(peer)
        # Behind the filter our daemons keep what they sealed themselves; the peers would begin anew.
        return layout_a(border=[verifier.milter, policies.milter], outward=[signer.milter])

    def receive(self, octets: bytes, sender: str, recipient: str, client: Client = STRANGER) -> Outcome:
        """A mail from the outside world to one of ours, brought by *client*."""
        return self._carry(lambda: self.layout.receive(octets, sender, [recipient], client=client), recipient)

    def submit(self, octets: bytes, sender: str, recipient: str) -> Outcome:
        """A mail from our user anna, logged in, to the outside world."""
        return self._carry(lambda: self.layout.submit(octets, sender, [recipient]), recipient)

    def _carry(self, send: Callable[[], Reply], recipient: str) -> Outcome:
        postfix = self.layout.postfix
        before = len(postfix.deliveries(recipient))
        seen = len(postfix.log())
        put_off: Reply | None = None
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                reply = send()
                break
            except RefusedError as refused:
                if refused.reply.code >= 500 or time.monotonic() > deadline:
                    return Outcome(refused.reply, None, put_off=put_off)
                put_off = put_off or refused.reply
                time.sleep(_COMES_AGAIN)

        def held() -> list[str]:
            return [line for line in postfix.log()[seen:].splitlines() if _HELD in line]

        try:
            wait_for(lambda: len(postfix.deliveries(recipient)) > before or held(), "the mail", _PATIENCE)
        except TimeoutError:
            stuck = [line for line in postfix.log().splitlines() if _STUCK.search(line)]
            return Outcome(
                reply, None, stuck[-1] if stuck else "the mail log does not say why", put_off=put_off
            )
        if held():
            return Outcome(reply, None, self._why_held(held()[-1]), held=True, put_off=put_off)
        return Outcome(reply, postfix.deliveries(recipient)[-1], put_off=put_off)

    def _why_held(self, line: str) -> str:
        """What our own log says of the message of a *line* in Postfix's; the line itself where nothing does."""
        queue_id = line.partition(_HELD)[0].rpartition(" ")[2]
        enforcer = self.daemons.get("dmarc-enforce")
        told = enforcer.log().splitlines() if enforcer is not None else []
        return next((each for each in told if f"{queue_id}:" in each), line)
