"""How a policy daemon is put together from the configuration: before the fork what is read, after it what runs."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from prometheus_client import Metric

from gatepost.assembly import SecretSource, resolver_of, sealer_of, zone_of
from gatepost.authres.secret import load_or_create
from gatepost.config.dmarc_settings import Dmarc
from gatepost.config.errors import Problem
from gatepost.config.greylist_settings import Greylist, StoreAddress
from gatepost.config.sections import Daemon
from gatepost.config.settings import Config
from gatepost.config.spf_settings import Spf
from gatepost.dns.budget import Budget
from gatepost.dns.resolver import Resolver
from gatepost.log import Logger
from gatepost.metrics import Metrics
from gatepost.networks import Networks
from gatepost.service.balance import Balance
from gatepost.service.daemon import Worker
from gatepost.spf.check import check as check_spf
from gatepost.spf.result import SpfResult
from policy import greylist, spf
from policy.greylisting.counts import Counts
from policy.greylisting.desk import Desk
from policy.greylisting.setup import check_store, list_files, make_store, read_lists
from policy.greylisting.vouching import SpfVouching
from policy.handler import Handler
from policy.server import PolicyWorker
from policy.terms import Terms


@dataclass
class PolicyDaemon:
    """A daemon as the service knows it.

    ``serve`` makes its handler, and what lives with it, in a worker. ``check_all``
    finds what is wrong with things that are only read when they are needed.
    ``clock`` gives the daemon's time, in seconds since 1970.
    """

    name: str
    settings: Daemon
    serve: Callable[[Logger, Metrics, Callable[[], float]], Handler]
    files: Sequence[Path] = ()
    check_all: Callable[[], Sequence[Problem]] = list
    clock: Callable[[], float] = time.time

    def __post_init__(self) -> None:
        # Postfix keeps its connections open, so it matters whom they go to.
        self._balance = Balance(self.settings.workers) if self.settings.workers > 1 else None

    def watched_files(self) -> Sequence[Path]:
        """The files that were read to build it."""
        return self.files

    def collect(self) -> Iterable[Metric]:
        """Nothing: all that it has to tell is counted by its workers."""
        return ()

    def check(self) -> Sequence[Problem]:
        """What a start would not find: it takes too long."""
        return self.check_all()

    def worker(self, log: Logger, metrics: Metrics) -> Worker:
        """Make the serving side, for sockets."""
        terms = self.terms(log, metrics)
        return PolicyWorker(
            terms.handler,
            limits=terms.limits,
            log=log,
            on_internal_error=terms.on_internal_error,
            metrics=metrics,
            seat=None if self._balance is None else self._balance.seat(),
        )

    def terms(self, log: Logger, metrics: Metrics) -> Terms:
        """Make the handler, and all that a dialogue with it needs. Called with the event loop running."""
        settings = self.settings
        handler = self.serve(log, metrics, self.clock)
        return Terms(handler, settings.limits, log, settings.on_internal_error, metrics)


def spf_daemon(
    config: Config, name: str, settings: Spf, secret: SecretSource = load_or_create
) -> PolicyDaemon:
    """The daemon spf. Raises ConfigError where the zone file or the seal's secret cannot be used."""
    zone = zone_of(config)
    sealer = sealer_of(config, settings, secret)
    enforced = any(isinstance(each, Dmarc) and each.mode == "enforce" for each in config.daemons.values())

    def serve(log: Logger, metrics: Metrics, clock: Callable[[], float]) -> Handler:
        tools = spf.Tools(
            authserv_id=config.authserv_id,
            trusted=Networks(config.trusted_networks),
            sealer=sealer,
            resolver=resolver_of(config, zone, log, metrics),
            new_budget=partial(Budget, config.dns),
            log=log,
            metrics=metrics,
            dmarc_enforces=enforced,
            clock=clock,
        )
        return spf.SpfHandler(name, settings, tools)

    files = [path for path in (config.dns.zone, config.seal_secret) if path is not None]
    return PolicyDaemon(name, settings, serve, files)


def greylist_daemon(config: Config, name: str, settings: Greylist) -> PolicyDaemon:
    """The daemon greylist. Raises ConfigError where the zone file, a list or the kind of store cannot be used."""
    zone = zone_of(config)
    option = f"daemons.{name}"
    check_store(settings, option)
    lists = greylist.AllowLists(*read_lists(settings, option))

    def serve(log: Logger, metrics: Metrics, clock: Callable[[], float]) -> Handler:
        resolver = resolver_of(config, zone, log, metrics)
        counts = Counts(metrics)
        store = make_store(settings, log)
        tools = greylist.Tools(
            host=config.authserv_id,
            trusted=Networks(config.trusted_networks),
            lists=lists,
            desk=Desk(store, timeout=settings.store_timeout, log=log, counts=counts, clock=clock),
            resolver=resolver,
            new_budget=partial(Budget, config.dns),
            log=log,
            counts=counts,
            spf=SpfVouching(_spf_check(config, resolver), clock) if settings.spf else None,
            clock=clock,
        )
        return greylist.GreylistHandler(name, settings, tools)

    zones = [] if config.dns.zone is None else [config.dns.zone]
    return PolicyDaemon(name, settings, serve, [*zones, *list_files(settings)])


def remembering_in(directory: Path, config: Config, name: str) -> Config:
    """*config* with all that the daemon *name* remembers kept in *directory*, apart from the site's memory."""
    settings = config.daemons.get(name)
    if not isinstance(settings, Greylist):
        return config
    store = StoreAddress("sqlite", str(directory / "greylist.sqlite"))
    changed = settings.model_copy(update={"store": store})
    return config.model_copy(update={"daemons": {**config.daemons, name: changed}})


def _spf_check(config: Config, resolver: Resolver) -> Callable[[str, str, str], Awaitable[SpfResult]]:
    """SPF for greylisting: texts as a request holds them."""

    async def check(client: str, helo: str, sender: str) -> SpfResult:
        name, mail_from = (text.encode("utf-8", "surrogateescape") for text in (helo, sender))
        return await check_spf(resolver, Budget(config.dns), client, name, mail_from)

    return check
