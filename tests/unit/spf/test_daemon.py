"""The RFC 7208 test suite through the service: requests over a socket, DNS over UDP, time-outs included."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import dns.message
import dns.name
import dns.rdatatype
import pytest

from gatepost.authres.read import read
from gatepost.config.addresses import SocketAddress
from gatepost.config.sections import Dns
from gatepost.config.spf_settings import Spf
from gatepost.config.types import HostAndPort
from gatepost.dns.budget import Budget
from gatepost.dns.resolver import Resolver
from gatepost.log import Logger
from gatepost.metrics import Metrics
from gatepost.networks import Networks
from policy.server import PolicyWorker
from policy.spf import SpfHandler, Tools
from tests.harness.dns_server import DnsServer
from tests.harness.policy_client import PolicyClient
from tests.unit.milters.serving import Server
from tests.unit.spf.suite import Case, Items, Zone, cases, timeouts
from tests.unit.spf.support import ID, SEALER


class SuiteDns:
    """A DNS server that behaves as the suite wants it."""

    def __init__(self) -> None:
        self.server = DnsServer().start()
        self.server.responder = self._silence
        self._zone: Zone = {}

    def show(self, zone: Zone) -> None:
        if zone is not self._zone:
            self._zone = zone
            self.server.zone = {_escaped(name): list(_records(items)) for name, items in zone.items()}

    def _silence(self, query: bytes, tcp: bool) -> list[bytes] | None:
        question = dns.message.from_wire(query).question[0]
        name = b".".join(question.name.labels[:-1]).decode().lower()
        silent = timeouts(self._zone.get(name, ()), dns.rdatatype.to_text(question.rdtype))
        return [] if silent else None


def _escaped(name: str) -> str:
    """A name of the suite, in which every character stands for itself, as the server knows it."""
    return dns.name.Name([*name.encode().split(b"."), b""]).to_text(omit_final_dot=True)


def _records(items: Items) -> Iterator[Any]:
    for item in items:
        if isinstance(item, str):
            continue
        ((rdtype, value),) = item.items()
        if value != "TIMEOUT":
            yield {rdtype: value if value != [] else ""}


class SpfServer(Server):
    make = PolicyWorker

    def __init__(self, nameserver: DnsServer, **options: Any) -> None:
        settings = Dns(
            nameservers=[HostAndPort(nameserver.host, nameserver.port)], timeout=0.15, cache_size=0
        )
        tools = Tools(
            authserv_id=ID,
            trusted=Networks([]),
            sealer=SEALER,
            resolver=Resolver(settings),
            new_budget=lambda: Budget(settings),
            log=Logger("error"),
            metrics=Metrics("spf"),
        )
        spf = Spf.model_validate(
            {"socket": [SocketAddress.parse("inet:1@127.0.0.1")], "skip_addresses": [], **options}
        )
        super().__init__(SpfHandler("spf", spf, tools))


@pytest.fixture(scope="module")
def nameserver() -> Iterator[SuiteDns]:
    suite = SuiteDns()
    yield suite
    suite.server.stop()


@pytest.fixture(scope="module")
def clients(nameserver: SuiteDns) -> Iterator[Sequence[PolicyClient]]:
    """A client of a service that refuses nothing, and one of a service that does."""
    with (
        SpfServer(nameserver.server, mail_from_reject="never", helo_reject="never") as lenient,
        SpfServer(nameserver.server, temperror_defer=True, permerror_reject=True) as strict,
        PolicyClient(lenient.address) as first,
        PolicyClient(strict.address) as second,
    ):
        yield first, second


def ask(client: PolicyClient, case: Case) -> str:
    return client.ask(
        client_address=case.host,
        helo_name=case.helo,
        sender=case.mail_from,
        instance=f"{case.name}.{case.host}",
    )


@pytest.mark.parametrize("case", list(cases()), ids=lambda case: case.name)
def test_case(case: Case, nameserver: SuiteDns, clients: Sequence[PolicyClient]) -> None:
    nameserver.show(case.zone)
    lenient, strict = clients
    name, value = ask(lenient, case).removeprefix("PREPEND ").split(": ", 1)
    assert name == "Authentication-Results"
    identity = "mailfrom" if case.mail_from else "helo"
    (verdict,) = {
        result.result
        for result in read(value.encode()).results
        if identity in [each.name for each in result.properties] or not result.properties
    }
    assert verdict in case.verdicts
    # The other identity has its say too.
    spoilt = case.mail_from and "spf=fail smtp.helo" in value
    action = ask(strict, case)
    if verdict == "fail":
        assert action.startswith("550 5.7.23 SPF fail for ")
        if case.explanation and not spoilt:
            assert f" says: {case.explanation}" in action
    elif not spoilt:
        expected = {"permerror": "550 5.7.24 ", "temperror": "451 4.7.24 "}.get(verdict, "PREPEND ")
        assert action.startswith(expected)
