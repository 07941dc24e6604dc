"""What is on disk as the next generation: read, built, its sockets open, before anything of the old one goes."""

from __future__ import annotations

from collections.abc import Callable

from gatepost.config.errors import ConfigError, Problem
from gatepost.config.sections import Daemon as Settings
from gatepost.config.settings import Config
from gatepost.log import Logger
from gatepost.service import privileges
from gatepost.service.daemon import Build, ServiceError
from gatepost.service.listeners import Listener, Listeners
from gatepost.service.page import Page
from gatepost.service.workers import Generation


def settings_of(config: Config, name: str) -> Settings:
    """The options of the daemon *name*. Raises ConfigError where *config* has none of that name."""
    settings = config.daemons.get(name)
    if settings is None:
        known = ", ".join(config.daemons)
        text = f"the configuration has no daemon {name} (it has: {known})"
        raise ConfigError([Problem("", 0, 0, "", text)])
    return settings


def identity_of(config: Config, name: str) -> privileges.Identity | None:
    """Whom the daemon *name* is to run as; None where nothing is said. Raises ConfigError and ServiceError."""
    settings = settings_of(config, name)
    return privileges.identity(settings.user or config.user, settings.group or config.group)


class Candidates:
    """Makes generations for reloads of the daemon *name*, by *load* and *build*, on *listeners* and *page*."""

    def __init__(
        self,
        name: str,
        load: Callable[[], Config],
        build: Build,
        listeners: Listeners,
        page: Page,
        log: Logger,
    ) -> None:
        self._name = name
        self._load = load
        self._build = build
        self._listeners = listeners
        self._page = page
        self._log = log

    def next(self, current: Generation) -> Generation | None:
        """The generation to follow *current*.

        None, after lines in the log that say why, when there can be none; then all is as it was.
        """
        opened: list[Listener] = []
        try:
            config = self._load()
            settings = settings_of(config, self._name)
            daemon = self._build(config)
            self._tell_fixed(config, current.config)
            opened = self._listeners.open(settings.socket, identity_of(config, self._name))
            self._page.listen(settings.metrics)
        except ConfigError as error:
            for problem in error.problems:
                self._log.event("error", str(problem))
        except ServiceError as error:
            self._log.event("error", str(error))
        except Exception as error:  # whatever it is, mail goes on with what we have
            self._log.failure("cannot reload", error)
        else:
            return Generation(config, settings, daemon, opened)
        if opened:
            self._listeners.keep_only(current.listeners)
        return None

    def _tell_fixed(self, config: Config, before: Config) -> None:
        """Say what a reload cannot change."""
        if identity_of(config, self._name) != identity_of(before, self._name):
            self._log.event("warning", "`user:` and `group:` change only with a restart")
