"""The signing daemons of the configuration, for commands that look at their keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gatepost.cli.options import DEFAULT_CONFIG
from gatepost.config.dkim_settings import DkimSign
from gatepost.config.errors import ConfigError
from gatepost.config.load import read
from gatepost.config.settings import Config
from gatepost.dkim.keys.source import NamedKey
from gatepost.dkim.keys.sources import KeySources, build
from gatepost.dkim.signing_key import KeyUnavailableError

_ANYBODY = "postmaster"


@dataclass(frozen=True, slots=True)
class Signers:
    """The configuration, None where there is none, and the keys of its signing daemons by name."""

    config: Config | None
    keys: Mapping[str, KeySources]

    def settings(self, name: str) -> DkimSign:
        """The options of the signing daemon called *name*."""
        assert self.config is not None
        settings = self.config.daemons[name]
        assert isinstance(settings, DkimSign)
        return settings

    def named(self) -> list[NamedKey]:
        """Every key that the daemons name, each pair of d= and s= once; ``domain`` "" for any domain."""
        found: dict[tuple[str, str], NamedKey] = {}
        for sources in self.keys.values():
            for key in sources.named():
                found.setdefault((key.domain, key.selector), key)
        return list(found.values())

    def of(self, domain: str) -> list[NamedKey]:
        """The keys that sign as *domain* (A-labels): those that name it, and those for any sender's domain."""
        found: dict[str, NamedKey] = {}
        for key in self.named():
            if key.domain in (domain, ""):
                found.setdefault(key.selector, key._replace(domain=domain))
        for sources in self.keys.values():
            try:
                matching = sources.find(_ANYBODY, domain)
            except KeyUnavailableError:
                continue  # named() has told of it
            for each in matching:
                if each.domain == domain:
                    found.setdefault(each.selector, NamedKey(domain, each.selector, "", each.private))
        return list(found.values())


def signers(file: Path | None) -> Signers:
    """The signers of the configuration that ``--config`` names, or of the usual one if there is one.

    Raises ConfigError, also for keys and tables that cannot be used.
    """
    if file is None and not DEFAULT_CONFIG.exists():
        return Signers(None, {})
    loaded = read(file or DEFAULT_CONFIG)
    keys = {}
    for name, settings in loaded.config.daemons.items():
        if isinstance(settings, DkimSign):
            try:
                keys[name] = build(settings, option=f"daemons.{name}")
            except ConfigError as error:
                raise ConfigError([loaded.locate(problem) for problem in error.problems]) from None
    return Signers(loaded.config, keys)
