"""How a milter daemon is put together from the configuration: before the fork what is read, after it what runs."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from socket import socket

from prometheus_client import Metric

from gatepost.assembly import SecretSource, resolver_of, sealer_of, zone_of
from gatepost.authres.border import Border
from gatepost.authres.seal import Sealer
from gatepost.authres.secret import load_or_create
from gatepost.authres.strip import Ids
from gatepost.config.dkim_settings import DkimSign, DkimVerify
from gatepost.config.dmarc_settings import Dmarc
from gatepost.config.errors import Problem
from gatepost.config.sections import Daemon
from gatepost.config.settings import Config
from gatepost.dkim.keys.sources import build as build_keys
from gatepost.dkim.verifier import Verifier
from gatepost.dkim.verify import Policy
from gatepost.dmarc.evaluate import TREE_WALK, by_suffix_list
from gatepost.dmarc.history import History
from gatepost.dns.budget import Budget
from gatepost.dns.resolver import Resolver
from gatepost.log import Logger
from gatepost.metrics import Metrics
from gatepost.networks import Networks
from gatepost.service.daemon import Worker
from gatepost.suffixes import organizational_domain_by_list, public_suffix_test
from milters import dkim_sign, dkim_verify, dmarc
from milters.handler import Handler
from milters.key_ages import MOST, KeyAges
from milters.libmilter import LibmilterWorker
from milters.server import MilterWorker


@dataclass
class MilterDaemon:
    """A daemon as the service knows it.

    ``serve`` makes its handler, and what lives with it, in a worker. ``check_all``
    finds what is wrong with things that are only read when they are needed.
    ``collect_all`` gives the metrics that no worker counts. ``clock`` gives the daemon's time, in seconds since 1970.
    """

    name: str
    settings: Daemon
    serve: Callable[[Logger, Metrics, Callable[[], float]], _Served]
    files: Sequence[Path] = ()
    check_all: Callable[[], Sequence[Problem]] = list
    collect_all: Callable[[], Iterable[Metric]] = tuple
    clock: Callable[[], float] = time.time

    def watched_files(self) -> Sequence[Path]:
        """The files that were read to build it."""
        return self.files

    def collect(self) -> Iterable[Metric]:
        """The metrics that no worker counts."""
        return self.collect_all()

    def check(self) -> Sequence[Problem]:
        """What a start would not find: it takes too long."""
        return self.check_all()

    def worker(self, log: Logger, metrics: Metrics) -> Worker:
        """Make the serving side, on the engine that the configuration names."""
        served = self.serve(log, metrics, self.clock)
        engine = LibmilterWorker if self.settings.engine == "libmilter" else MilterWorker
        return _Worker(
            served,
            engine(
                served.handler,
                limits=self.settings.limits,
                log=log,
                on_internal_error=self.settings.on_internal_error,
                metrics=metrics,
            ),
        )


@dataclass
class _Served:
    """A handler, and what it works with that has to be let go of in the end."""

    handler: Handler
    resolver: Resolver | None = None
    history: History | None = None


@dataclass
class _Worker:
    """The engine, and the resolver that ends after it."""

    served: _Served
    engine: Worker = field(repr=False)

    async def start(self, sockets: Sequence[socket]) -> None:
        await self.engine.start(sockets)

    def close(self) -> None:
        self.engine.close()

    async def stop(self, grace: float, hurry: asyncio.Event | None = None) -> None:
        await self.engine.stop(grace, hurry)
        if self.served.history is not None:
            self.served.history.close()
        if self.served.resolver is not None:
            await self.served.resolver.close()


def dkim_verify_daemon(
    config: Config, name: str, settings: DkimVerify, secret: SecretSource = load_or_create
) -> MilterDaemon:
    """The daemon dkim-verify. Raises ConfigError where the zone file or the seal's secret cannot be used."""
    zone = zone_of(config)
    sealer = sealer_of(config, settings, secret)
    border = _border(config, sealer)
    policy = dkim_verify.policy_of(settings, public_suffix_test())

    def serve(log: Logger, metrics: Metrics, clock: Callable[[], float]) -> _Served:
        resolver = resolver_of(config, zone, log, metrics)
        tools = dkim_verify.Tools(
            authserv_id=config.authserv_id,
            trusted=Networks(config.trusted_networks),
            border=border,
            sealer=sealer,
            removes_seals=removes_seals(config, name),
            verifier=Verifier(policy, resolver, partial(Budget, config.dns)),
            log=log,
            metrics=metrics,
            clock=clock,
        )
        return _Served(dkim_verify.DkimVerifyHandler(name, settings, tools), resolver)

    files = [path for path in (config.dns.zone, config.seal_secret) if path is not None]
    return MilterDaemon(name, settings, serve, files)


def dkim_sign_daemon(config: Config, name: str, settings: DkimSign) -> MilterDaemon:
    """The daemon dkim-sign. Raises ConfigError where keys or tables cannot be used."""
    keys = build_keys(settings, option=f"daemons.{name}")

    def serve(log: Logger, metrics: Metrics, clock: Callable[[], float]) -> _Served:
        metrics.foresee("signing")
        tools = dkim_sign.Tools(
            authserv_id=config.authserv_id,
            trusted=Networks(config.trusted_networks),
            keys=keys,
            log=log,
            metrics=metrics,
            clock=clock,
        )
        return _Served(dkim_sign.DkimSignHandler(name, settings, tools))

    ages = KeyAges(name, keys.places(MOST))
    return MilterDaemon(name, settings, serve, keys.watched_files(), keys.check_all, ages.collect)


def dmarc_daemon(
    config: Config, name: str, settings: Dmarc, secret: SecretSource = load_or_create
) -> MilterDaemon:
    """The DMARC daemon *name*. Raises ConfigError where the zone file or the seal's secret cannot be used."""
    zone = zone_of(config)
    sealer = sealer_of(config, settings, secret)
    border = _border(config, sealer)
    policy = Policy(is_public_suffix=public_suffix_test())
    method = TREE_WALK if settings.org_domain == "tree" else by_suffix_list(organizational_domain_by_list())

    def serve(log: Logger, metrics: Metrics, clock: Callable[[], float]) -> _Served:
        resolver = resolver_of(config, zone, log, metrics)
        history = None
        if settings.history is not None and settings.mode == "enforce":
            history = History(settings.history, partial(log.event, "error"))
        tools = dmarc.Tools(
            authserv_id=config.authserv_id,
            trusted=Networks(config.trusted_networks),
            border=border,
            sealer=sealer,
            removes_seals=removes_seals(config, name),
            verifier=Verifier(policy, resolver, partial(Budget, config.dns)),
            method=method,
            history=history,
            log=log,
            metrics=metrics,
            sample=lambda: 100 * random.random(),
            clock=clock,
        )
        return _Served(dmarc.DmarcHandler(name, settings, tools), resolver, history)

    files = [path for path in (config.dns.zone, config.seal_secret) if path is not None]
    return MilterDaemon(name, settings, serve, files)


def _border(config: Config, sealer: Sealer) -> Border:
    ids = Ids(config.authserv_id, config.authserv_aliases)
    return Border(ids, sealer, Networks(config.believe_unsealed_from))


def remembering_nothing(config: Config, name: str) -> Config:
    """*config* with a daemon *name* that leaves the site's memory as it is: no row in DMARC's history."""
    settings = config.daemons.get(name)
    if not isinstance(settings, Dmarc):
        return config
    changed = settings.model_copy(update={"history": None})
    return config.model_copy(update={"daemons": {**config.daemons, name: changed}})


def removes_seals(config: Config, name: str) -> bool:
    """Whether *name* is the last of our daemons on the way, so that no mailbox holds a seal to be copied."""
    order: dict[str, int] = {}
    for daemon, settings in config.daemons.items():
        if isinstance(settings, Dmarc):
            order[daemon] = 2 if settings.mode == "stamp" else 1
        elif isinstance(settings, DkimVerify):
            order[daemon] = 0
    # Of two alike, mail comes to the later one later.
    return name == max(reversed(order), key=lambda daemon: order[daemon])
