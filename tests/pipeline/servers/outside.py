"""The rest of the world as a mail server: a second Postfix, with OpenDKIM and OpenDMARC to judge our mail."""

from __future__ import annotations

from pathlib import Path

from tests.harness.postfix import Postfix, Smtpd
from tests.pipeline.servers.dns import OUTSIDE, PARTIES
from tests.pipeline.servers.peers import judge, verifier

_VERIFIER, _JUDGE = 18891, 18893


class _Port25(Smtpd):
    """On the outside's address instead of a free port."""

    def lines(self) -> str:
        """The entry in master.cf."""
        return f"{OUTSIDE.address}:25 {super().lines().split(maxsplit=1)[1]}"


class Outside(Postfix):
    """The server mx.example.org, for all domains of the world; it finds ours by MX, and its mail in ``deliveries``."""

    def __init__(self, directory: Path) -> None:
        self.peers = [
            verifier(directory, _VERIFIER, OUTSIDE.name),
            judge(directory, _JUDGE, OUTSIDE.name),
        ]
        port = _Port25(name="world", milters=[peer.milter for peer in self.peers], networks=["192.0.2.0/24"])
        super().__init__(
            [port],
            hostname=OUTSIDE.name,
            inside=[party.domain for party in PARTIES],
            options={
                # Its address is one of a whole network that is at home here, and on no interface.
                "inet_interfaces": "127.0.0.1",
                "inet_protocols": "ipv4",
                "smtp_bind_address": OUTSIDE.address,
                "disable_dns_lookups": "no",
                "smtpd_peername_lookup": "yes",
                "relayhost": "",
                # It is a server like others: what it is given in eight bits, it gives on so.
                "smtp_tls_security_level": "may",
            },
        )
