"""The DNS of the world, on 127.0.0.1 as /etc/resolv.conf says: a process of its own, which can be stopped."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.harness.process import Process
from tests.pipeline.machine import ADDRESS, HOSTNAME, rewrite

PORT = 53
HOSTED = ("example.nl", "example2.nl", "nokey.nl")
"""The domains of the server. The last one's mail is signed by nobody."""


@dataclass(frozen=True)
class Party:
    """A mail server of the world: its address, its name, its domain, and what that says of its mail."""

    address: str
    name: str
    domain: str
    spf: str = "v=spf1 a:{name} -all"
    dmarc: str = "v=DMARC1; p=reject"

    def records(self) -> dict[str, list[dict[str, Any]]]:
        """Its part of the DNS."""
        reverse = ".".join(reversed(self.address.split(".")))
        found: dict[str, list[dict[str, Any]]] = {
            f"{reverse}.in-addr.arpa": [{"PTR": self.name}],
            self.name: [{"A": self.address}, {"TXT": "v=spf1 a -all"}] if self.spf else [{"A": self.address}],
            self.domain: [{"MX": [10, OUTSIDE.name]}],
        }
        if self.spf:
            found[self.domain].append({"TXT": self.spf.format(name=self.name)})
        if self.dmarc:
            found[f"_dmarc.{self.domain}"] = [{"TXT": self.dmarc}]
        return found


OUTSIDE = Party("192.0.2.10", "mx.example.org", "example.org")
"""An honest server, which runs: all mail for the world goes there."""
FORWARDER = Party("192.0.2.40", "mx.forwarder.example", "forwarder.example", dmarc="")
LIST = Party("192.0.2.50", "mx.list.example", "list.example", dmarc="v=DMARC1; p=none")
PLAIN = Party("192.0.2.60", "mx.plain.example", "plain.example", spf="", dmarc="")
"""Says nothing of its mail."""
BANK = Party("192.0.2.70", "mx.bank.example", "bank.example")
"""Whose name is taken in vain."""
EVIL = Party("198.51.100.66", "mx.evil.example", "evil.example", dmarc="")
"""A spammer, with an SPF record of its own."""
PARTIES = (OUTSIDE, FORWARDER, LIST, PLAIN, BANK, EVIL)


def zone(keys: Mapping[str, str], ttl: int = 300) -> dict[str, list[dict[str, Any]]]:
    """All names, to be remembered for *ttl* seconds: *keys* are the TXT records of keys."""
    reverse = ".".join(reversed(ADDRESS.split(".")))
    names: dict[str, list[dict[str, Any]]] = {
        HOSTNAME: [{"A": ADDRESS}, {"TXT": "v=spf1 a -all"}],
        f"{reverse}.in-addr.arpa": [{"PTR": HOSTNAME}],
        "localhost": [{"A": "127.0.0.1"}],
    }
    for domain in HOSTED:
        names[domain] = [{"MX": [10, HOSTNAME]}, {"TXT": "v=spf1 mx -all"}]
        names[f"_dmarc.{domain}"] = [{"TXT": "v=DMARC1; p=reject"}]
    for party in PARTIES:
        names |= party.records()
    names |= {name: [{"TXT": record}] for name, record in keys.items()}
    return {name: [*records, {"TTL": ttl}] for name, records in names.items()}


def name_server(directory: Path, records: Mapping[str, Iterable[Mapping[str, Any]]]) -> Process:
    """The server, not started yet."""
    file = rewrite(directory / "zone.yaml", yaml.safe_dump(dict(records)))
    return Process(
        [sys.executable, "-m", "tests.harness.dns_server", str(file), str(PORT)],
        directory / "dns.log",
        ready=lambda: f":{PORT}" in (directory / "dns.log").read_text(),
    )
