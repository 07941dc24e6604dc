"""All six daemons, and mail of every fate through them, so that everything is counted and logged that can be."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from tests.harness.daemon import Installation
from tests.harness.delivery import compose
from tests.harness.dns_server import DnsServer
from tests.harness.keys import rsa_key
from tests.harness.milter_client import Header, Mail, MilterClient, Result
from tests.harness.policy_client import PolicyClient
from tests.harness.ports import LOOPBACK
from tests.harness.waiting import PATIENCE

FRIEND, ATTACKER, VICTIM = "192.0.2.10", "198.51.100.66", "203.0.113.7"
ZONE: Mapping[str, Any] = {
    "example.org": [{"TXT": f"v=spf1 ip4:{FRIEND} -all"}],
    "_dmarc.example.org": [{"TXT": "v=DMARC1; p=reject"}],
    "slow.example": ["SERVFAIL"],
}


@dataclass(frozen=True)
class Site:
    """The running daemons."""

    gatepost: Installation

    def milter(self, name: str, mail: Mail) -> Result:
        """Send a mail through a milter."""
        with MilterClient((LOOPBACK, self.gatepost[name].port)) as client:
            return client.send(mail)

    def policy(self, name: str, **attributes: str | bytes) -> str:
        """Ask a policy service."""
        with PolicyClient((LOOPBACK, self.gatepost[name].port)) as client:
            return client.ask(**attributes)

    def lines(self, name: str, words: str = "client=") -> list[str]:
        """The lines of a daemon's log with these words in them: those about messages."""
        return [line for line in self.gatepost[name].log().splitlines() if words in line]

    def scrape(self, name: str) -> str:
        """The metrics page of a daemon."""
        address = f"http://{LOOPBACK}:{self.gatepost[name].metrics_port}/metrics"
        with urllib.request.urlopen(address, timeout=PATIENCE) as page:
            text: str = page.read().decode()
        return text

    def families(self) -> dict[str, list[Metric]]:
        """All metrics of all daemons, by the name that queries use."""
        found: dict[str, list[Metric]] = {}
        for name in self.gatepost.daemons:
            for family in text_string_to_metric_families(self.scrape(name)):
                full = f"{family.name}_total" if family.type == "counter" else family.name
                found.setdefault(full, []).append(family)
        return found

    def sample_names(self) -> set[str]:
        """All names of samples, those of a histogram's parts too."""
        return {
            sample.name
            for families in self.families().values()
            for each in families
            for sample in each.samples
        }


def mail(author: str = "a@example.org", *extra: Header, client: str = ATTACKER, **options: Any) -> Mail:
    """A mail with this From, the *extra* fields on top."""
    fields = [*extra, (b"From", b" " + author.encode()), (b"Message-ID", b" <1@example.org>")]
    return Mail(
        headers=fields, body=b"Hello.\r\n", mail_from=b"a@example.org", client_address=client, **options
    )


@contextmanager
def running(directory: Path) -> Iterator[Site]:
    """The daemons, after some mail of each kind."""
    ours, theirs = rsa_key("example.nl"), rsa_key("example.org")
    sections: Mapping[str, Mapping[str, Any]] = {
        "dkim-verify": {f"on_{fault}": "reject" for fault in ("fail", "key_not_found", "permerror")},
        "dkim-sign": {
            "keys": [{"domain": "example.nl", "selector": "mail", "file": str(ours.write(directory / "key"))}]
        },
        "dmarc-enforce": {"kind": "dmarc", "mode": "enforce", "history": None},
        "dmarc-stamp": {"kind": "dmarc", "mode": "stamp"},
        "spf": {"helo_reject": "fail", "mail_from_reject": "fail"},
        "greylist": {"store": f"sqlite:{directory / 'greylist.sqlite'}"},
    }
    zone = {**ZONE, theirs.name: [{"TXT": theirs.record}]}
    with (
        DnsServer(zone) as dns,
        Installation(directory, sections, {"dns": {"nameservers": [dns.address]}}) as gatepost,
    ):
        site = Site(gatepost)
        signed = theirs.sign(
            compose([("From", "a@example.org"), ("Message-ID", "<1@example.org>")], "Hello.\n")
        )
        signature = signed.split(b":", 1)[1].split(b"\r\nFrom:")[0].replace(b"\r\n", b"\n")
        forged = (b"Authentication-Results", b" mail.example.nl; dmarc=pass")
        good, bad = (b"DKIM-Signature", signature), (b"DKIM-Signature", signature.replace(b"bh=", b"bh=x"))
        for name in ("dkim-verify", "dmarc-enforce", "dmarc-stamp"):
            for fields in ((good,), (bad,), (forged,)):
                site.milter(name, mail("a@example.org", *fields))
            site.milter(name, mail("a@example.net", client=FRIEND))
        site.milter("dkim-sign", mail("anna@example.nl", client="127.0.0.1"))
        for client in (FRIEND, ATTACKER):
            for name in ("spf", "greylist"):
                site.policy(name, client_address=client, sender="a@example.org", helo_name="mx.example.org")
        site.policy("spf", client_address=FRIEND, sender="a@slow.example", helo_name="mx.example.org")
        yield site
