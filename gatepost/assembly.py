"""What daemons of every kind are put together from, as the configuration has it for all of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from gatepost.authres.seal import Sealer
from gatepost.authres.secret import SecretError, load_or_create
from gatepost.config.errors import ConfigError, Problem
from gatepost.config.sections import Daemon
from gatepost.config.settings import Config
from gatepost.dns.resolver import Resolver
from gatepost.dns.zone import Zone, ZoneError, load_zone
from gatepost.service.privileges import identity

if TYPE_CHECKING:
    from gatepost.log import Logger
    from gatepost.metrics import Metrics

SecretSource = Callable[[Path, int | None], bytes]
"""Gives the seal's secret, from its file and the group that a new file is to have. Raises SecretError."""


def zone_of(config: Config) -> Zone | None:
    """The fixed answers of ``dns.zone``, if it is given. Raises ConfigError."""
    if config.dns.zone is None:
        return None
    try:
        return load_zone(config.dns.zone)
    except ZoneError as error:
        raise ConfigError([Problem("", 0, 0, "dns.zone", str(error))]) from None


def resolver_of(config: Config, zone: Zone | None, log: Logger, metrics: Metrics) -> Resolver:
    """The resolver of one worker, with the fixed answers of *zone*; what it has to tell goes to *log* and *metrics*."""
    return Resolver(config.dns, zone=zone, observer=metrics, complain=partial(log.event, "error"))


def sealer_of(config: Config, settings: Daemon, secret: SecretSource = load_or_create) -> Sealer:
    """The sealer that all daemons share, with what *secret* gives. Raises ConfigError."""
    wanted = identity(settings.user or config.user, settings.group or config.group)
    try:
        shared = secret(config.seal_secret, wanted.gid if wanted else None)
    except SecretError as error:
        raise ConfigError([Problem("", 0, 0, "seal_secret", str(error))]) from None
    return Sealer(shared, config.seal_validity)
