"""Name servers that the tests of this room ask."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.harness.dns_server import DnsServer
from tests.unit.dns.support import ZONE


@pytest.fixture(scope="module")
def served() -> Iterator[DnsServer]:
    with DnsServer(ZONE) as server:
        yield server


@pytest.fixture(scope="module")
def silent() -> Iterator[DnsServer]:
    with DnsServer({"*": ["TIMEOUT"]}) as server:
        yield server
