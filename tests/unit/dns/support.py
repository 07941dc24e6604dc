"""What the tests of this room share: settings, a clock to turn, and both event loops."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import uvloop

from gatepost.config.addresses import HostAndPort
from gatepost.config.sections import Dns
from tests.harness.dns_server import DnsServer

Result = TypeVar("Result")

LOOPS = ("asyncio", "uvloop")


def settings(*servers: DnsServer, **others: Any) -> Dns:
    nameservers = [HostAndPort(each.host, each.port) for each in servers]
    return Dns(**{"nameservers": nameservers, "timeout": 2.0, **others})


def run(coroutine: Coroutine[Any, Any, Result], loop: str = "asyncio") -> Result:
    factory = uvloop.new_event_loop if loop == "uvloop" else asyncio.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(coroutine)
