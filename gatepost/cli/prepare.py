"""Making a daemon from the configuration, up to the point where it would start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatepost.config.errors import ConfigError, Problem
from gatepost.config.settings import Config
from gatepost.config.words import did_you_mean, listed, quoted

if TYPE_CHECKING:
    from gatepost.service.daemon import Daemon as Prepared


def prepare(config: Config, name: str) -> Prepared:
    """Build the daemon called *name*: keys and tables read, nothing opened, nothing started.

    Raises ConfigError with all that keeps it from starting. A problem with an
    option has the option's key and no file; one in another file (a table) has
    that file's place.
    """
    settings = config.daemons.get(name)
    if settings is None:
        hint = did_you_mean(name, config.daemons) or f" (there are {listed(config.daemons, 'and')})"
        raise ConfigError([Problem("", 0, 0, "", f"no daemon is called {quoted(name)}{hint}")])
    raise NotImplementedError(settings.kind)
