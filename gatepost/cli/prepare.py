"""Making a daemon from the configuration, up to the point where it would start."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from gatepost.assembly import SecretSource
from gatepost.authres.secret import load_or_create
from gatepost.config.dkim_settings import DkimSign, DkimVerify
from gatepost.config.dmarc_settings import Dmarc
from gatepost.config.errors import ConfigError, Problem
from gatepost.config.greylist_settings import Greylist
from gatepost.config.settings import Config
from gatepost.config.spf_settings import Spf
from gatepost.config.words import did_you_mean, listed, quoted
from gatepost.service.daemon import Daemon


class Prepared(Daemon, Protocol):
    """A daemon that could start, and can look further than a start does."""

    def check(self) -> Sequence[Problem]:
        """What is wrong with files that are only read when they are needed."""


def prepare(config: Config, name: str, secret: SecretSource = load_or_create) -> Prepared:
    """Build the daemon called *name*: keys and tables read, nothing opened, nothing started.

    *secret* gives the seal's secret, for those that seal.

    Raises ConfigError with all that keeps it from starting. A problem with an
    option has the option's key and no file; one in another file (a table) has
    that file's place.
    """
    settings = config.daemons.get(name)
    if settings is None:
        hint = did_you_mean(name, config.daemons) or f" (there are {listed(config.daemons, 'and')})"
        raise ConfigError([Problem("", 0, 0, "", f"no daemon is called {quoted(name)}{hint}")])
    if isinstance(settings, (Spf, Greylist)):
        # Here and below: no daemon loads what only others need, a fifth of its time to start and of its memory.
        from policy.assembly import greylist_daemon, spf_daemon

        if isinstance(settings, Spf):
            return spf_daemon(config, name, settings, secret)
        return greylist_daemon(config, name, settings)
    from milters.assembly import dkim_sign_daemon, dkim_verify_daemon, dmarc_daemon

    if isinstance(settings, DkimVerify):
        return dkim_verify_daemon(config, name, settings, secret)
    if isinstance(settings, DkimSign):
        return dkim_sign_daemon(config, name, settings)
    assert isinstance(settings, Dmarc)
    return dmarc_daemon(config, name, settings, secret)
