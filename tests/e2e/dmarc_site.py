"""A mail server for example.nl with all that DMARC takes, in each layout, and the domains that write to it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.support import BERT, RESULTS, message
from tests.harness.daemon import Installation
from tests.harness.delivery import Delivery
from tests.harness.dns_server import DnsServer
from tests.harness.keys import KeyPair, rsa_key
from tests.harness.layouts import Layout, layout_a, layout_b, layout_c
from tests.harness.postfix import Postfix
from tests.harness.smtp import STRANGER, Client, RefusedError, Reply
from tests.harness.waiting import wait_for

ATTACKER = Client("198.51.100.66", "mail.evil.example", "mail.evil.example")
EVIL = "x@evil.example"
CEO = "ceo@bank.example"

ZONE: Mapping[str, Sequence[str | Mapping[str, Any]]] = {
    "example.org": [{"TXT": f"v=spf1 ip4:{STRANGER.address} -all"}],
    "_dmarc.example.org": [{"TXT": "v=DMARC1; p=reject; np=reject; sp=none"}],
    "list.example.org": [{"A": STRANGER.address}],
    "bank.example": [{"TXT": "v=spf1 ip4:203.0.113.1 -all"}],
    "_dmarc.bank.example": [{"TXT": "v=DMARC1; p=reject"}],
    "_dmarc.shop.example": [{"TXT": "v=DMARC1; p=quarantine"}],
    "_dmarc.shy.example": [{"TXT": "v=DMARC1; p=none"}],
    "evil.example": [{"TXT": f"v=spf1 ip4:{ATTACKER.address} -all"}],
    "mail.evil.example": [{"A": ATTACKER.address}],
    "lists.example": [{"TXT": f"v=spf1 ip4:{ATTACKER.address} -all"}],
}

CHANGES = {
    "smtpd_policy_service_try_limit": "1",
    "smtpd_policy_service_default_action": "DUNNO",
    "milter_default_action": "accept",
}
"""A Postfix that goes on whoever is down: the least careful there is."""


@dataclass(frozen=True)
class DmarcSite:
    """A running layout."""

    kind: str
    layout: Layout
    gatepost: Installation
    theirs: KeyPair
    dns: DnsServer
    directory: Path

    @property
    def postfix(self) -> Postfix:
        """The Postfix."""
        return self.layout.postfix

    def receive(
        self, octets: bytes, recipient: str, *, mail_from: str = EVIL, client: Client = ATTACKER
    ) -> Delivery:
        """A mail from the world, as it was delivered."""
        self.layout.receive(octets, mail_from, [recipient], client=client)
        [delivery] = self.postfix.wait_for_delivery(recipient)
        assert b"gatepost-" not in delivery.octets
        return delivery

    def refused(
        self, octets: bytes, recipient: str, *, mail_from: str = EVIL, client: Client = ATTACKER
    ) -> Reply:
        """The reply to a mail from the world that has to be refused at its end."""
        with pytest.raises(RefusedError) as refused:
            self.layout.receive(octets, mail_from, [recipient], client=client)
        assert refused.value.stage == "END"
        return refused.value.reply

    def held(self, octets: bytes, recipient: str) -> tuple[dict[str, Any], Delivery]:
        """What becomes of a mail: its entry in the hold queue, as ``postqueue -j`` shows it, and what arrives once it
        has been released.
        """
        self.layout.receive(octets, EVIL, [recipient], client=ATTACKER)

        def entries() -> list[dict[str, Any]]:
            return [
                each
                for each in self.postfix.queue()
                if [to["address"] for to in each["recipients"]] == [recipient]
            ]

        [found] = wait_for(entries, f"mail for {recipient} in the queue")
        assert self.postfix.deliveries(recipient) == []
        self.postfix.postsuper("-H", found["queue_id"])
        self.postfix.flush()
        [delivery] = self.postfix.wait_for_delivery(recipient)
        assert b"gatepost-" not in delivery.octets
        return found, delivery

    @contextmanager
    def without(self, *names: str) -> Iterator[None]:
        """These daemons are down meanwhile."""
        for name in names:
            self.gatepost[name].stop()
        try:
            yield
        finally:
            for name in names:
                self.gatepost[name].start()


@contextmanager
def dmarc_site(
    kind: str,
    directory: Path,
    *,
    options: Mapping[str, str] | None = None,
    enforce: Mapping[str, Any] | None = None,
) -> Iterator[DmarcSite]:
    """The site in layout *kind* with the daemons where their documentation puts them."""
    theirs = rsa_key("example.org")
    with ExitStack() as running:
        dns = running.enter_context(DnsServer({**ZONE, theirs.name: [{"TXT": theirs.record}]}))
        sections: dict[str, dict[str, Any]] = {
            "dkim-verify": {"verify_local": kind == "B"},
            "spf": {},
            "dmarc-enforce": {
                "kind": "dmarc", "mode": "enforce", "history": str(directory / "dmarc.db"), **(enforce or {}),
            },
        }  # fmt: skip
        if kind == "A":
            sections["dmarc-stamp"] = {"kind": "dmarc", "mode": "stamp"}
        common = {"dns": {"nameservers": [dns.address], "cache_size": 0}}
        gatepost = running.enter_context(Installation(directory, sections, common))
        at = {name: daemon.milter for name, daemon in gatepost.daemons.items()}
        first, policy = [at["dkim-verify"], at["dmarc-enforce"]], [at["spf"]]
        if kind == "A":
            inward = [at["dkim-verify"], at["dmarc-stamp"]]
            layout = layout_a(border=first, inward=inward, policy=policy, options=options)
        elif kind == "B":
            layout = layout_b(inward=first, policy=policy, options=options)
        else:
            layout = layout_c(milters=first, policy=policy, options=options)
        yield DmarcSite(kind, running.enter_context(layout), gatepost, theirs, dns, directory)


def mail(sender: str, *extra: tuple[str, str]) -> bytes:
    """A mail that says it is from *sender*."""
    return message(sender, BERT, *extra)


def ours(delivery: Delivery) -> dict[str, list[str]]:
    """The results under our name on a mail, by method: "pass", "fail" …"""
    found: dict[str, list[str]] = {}
    for value in delivery.values(RESULTS):
        if value.startswith("mail.example.nl"):
            for method, result in re.findall(r"(?<![.\w])(spf|dkim|dmarc)=([a-z]+)", value):
                found.setdefault(method, []).append(result)
    return found
