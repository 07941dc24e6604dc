"""All daemons of ours beside a DNS server, an honest mail and an honest request, and what the workers use."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.e2e.support import ANNA, FRIEND, key_entries, message
from tests.harness.daemon import Installation
from tests.harness.dns_server import DnsServer, ZoneData
from tests.harness.keys import rsa_key
from tests.harness.mail import parse
from tests.harness.milter_client import Mail, MilterClient, Result
from tests.harness.policy_client import PolicyClient
from tests.harness.ports import LOOPBACK
from tests.harness.together import Together
from tests.harness.trouble import trouble
from tests.harness.waiting import PATIENCE

CLIENT = "192.0.2.10"
MILTERS = ("dkim-verify", "dkim-sign", "dmarc")
SERVICES = ("spf", "greylist")
ALL = MILTERS + SERVICES

_THEIRS = rsa_key("example.org")
HONEST_ZONE: ZoneData = {
    _THEIRS.name: [{"TXT": _THEIRS.record}],
    "example.org": [{"TXT": f"v=spf1 ip4:{CLIENT} -all"}, {"A": CLIENT}],
    "mx.example.org": [{"TXT": f"v=spf1 ip4:{CLIENT} -all"}, {"A": CLIENT}],
    "_dmarc.example.org": [{"TXT": "v=DMARC1; p=reject"}],
}
_HEADERS, _BODY = parse(_THEIRS.sign(message(FRIEND, ANNA)))
HONEST = Mail(
    headers=_HEADERS, body=_BODY, mail_from=FRIEND.encode(), helo=b"mx.example.org", client_address=CLIENT
)
_OURS = Mail(
    headers=parse(message(ANNA, FRIEND))[0],
    body=b"Hello.\r\n",
    mail_from=ANNA.encode(),
    client_address=LOOPBACK,
)
_EXPECTED = {
    "dkim-verify": b"dkim=pass",
    "dkim-sign": b"d=example.nl",
    "dmarc": b"dmarc=pass",
    "spf": b"spf=pass",
    "greylist": b"DEFER_IF_PERMIT",
}
SECONDS = 10.0
"""In which an honest client is served, whatever others do: much, as the test machine may be slow."""


@dataclass(frozen=True)
class Usage:
    """What a daemon's workers use together: resident megabytes, seconds of CPU time, DNS questions asked."""

    megabytes: float
    cpu: float
    questions: int

    def __sub__(self, other: Usage) -> Usage:
        return Usage(self.megabytes - other.megabytes, self.cpu - other.cpu, self.questions - other.questions)


class Site(Together):
    """Our daemons called *names* in *directory*: *limits* for each, *dns* settings, *zone* beside the honest one.

    Unless the DNS is not *honest*, each has served once when the site is up, so that all is loaded and looked up.
    """

    def __init__(
        self,
        directory: Path,
        limits: Mapping[str, Any] | None = None,
        zone: ZoneData | None = None,
        *,
        names: tuple[str, ...] = ALL,
        dns: Mapping[str, Any] | None = None,
        honest: bool = True,
    ) -> None:
        self.dns = DnsServer({**HONEST_ZONE, **(zone or {})})
        self._dns_settings = dict(dns or {})
        self._honest = honest
        directory.mkdir(parents=True, exist_ok=True)
        special: dict[str, dict[str, Any]] = {
            "dkim-sign": {"keys": key_entries(directory, [rsa_key("example.nl")])},
            "dmarc": {"history": None},
            "greylist": {"store": f"sqlite:{directory}/greylist.sqlite"},
        }
        self._sections = {name: {**special.get(name, {}), "limits": dict(limits or {})} for name in names}
        self._directory = directory
        self._requests = 0

    def _start(self, starting: ExitStack) -> None:
        starting.enter_context(self.dns)
        settings = {"nameservers": [self.dns.address], "timeout": "1s", "message_timeout": "3s"}
        common = {"dns": settings | self._dns_settings, "trusted_networks": ["127.0.0.0/8"]}
        self.installation = Installation(self._directory, self._sections, common)
        starting.enter_context(self.installation)
        for name in self._sections if self._honest else ():
            self.served(name)

    def address(self, name: str) -> tuple[str, int]:
        return LOOPBACK, self.installation[name].port

    def log(self, name: str) -> str:
        return self.installation[name].log()

    def served(self, name: str) -> float:
        """Have *name* serve an honest client, on a connection of its own; the seconds that it took."""
        begin = time.monotonic()
        if name in SERVICES:
            said = self.asked(name).encode()
        else:
            with MilterClient(self.address(name)) as client:
                result = client.send(HONEST if name != "dkim-sign" else _OURS)
            assert result.disposition == "accept"
            said = b" ".join(value for _, value in result.headers)
        assert _EXPECTED[name] in said
        return time.monotonic() - begin

    def asked(self, name: str, **attributes: str | bytes) -> str:
        """The action for an honest request with *attributes* instead."""
        self._requests += 1
        usual = {
            "client_address": CLIENT,
            "sender": f"friend{chr(97 + self._requests % 26)}@example.org",
            "helo_name": "mx.example.org",
        }
        with PolicyClient(self.address(name)) as client:
            return client.ask({**usual, **attributes})

    def sent(self, name: str, mail: Mail, timeout: float = PATIENCE) -> Result:
        with MilterClient(self.address(name), timeout=timeout) as client:
            return client.send(mail)

    def usage(self, name: str) -> Usage:
        workers = psutil.Process(self.installation[name].process.pid).children()
        times = [worker.cpu_times() for worker in workers]
        return Usage(
            sum(worker.memory_info().rss for worker in workers) / 2**20,
            sum(each.user + each.system for each in times),
            self.dns.count(),
        )

    def open_connections(self, name: str) -> int:
        """How many connections *name* has now, by its own count."""
        metrics = self.installation[name].metrics()
        return int(
            sum(value for label, value in metrics.items() if label.startswith("gatepost_connections{"))
        )

    @contextmanager
    def bounded(self, name: str, *, megabytes: float, cpu: float, questions: int = 0) -> Iterator[None]:
        """What happens here costs the workers of *name* no more than that, and the next client is served."""
        before = self.usage(name)
        yield
        spent = self.usage(name) - before
        assert spent.megabytes <= megabytes, spent
        assert spent.cpu <= cpu, spent
        assert spent.questions <= questions, spent
        assert self.served(name) < SECONDS
        assert trouble(self.log(name)) == []
