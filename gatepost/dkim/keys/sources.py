"""All keys of a signing daemon, from wherever its configuration takes them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from gatepost.config.errors import ConfigError, Problem
from gatepost.dkim.keys.dataset import Dataset, parse_dataset
from gatepost.dkim.keys.entries import KeyEntries
from gatepost.dkim.keys.keycache import KeyCache
from gatepost.dkim.keys.keyfile import KeyFileError, KeyRules
from gatepost.dkim.keys.keylist import KeyList
from gatepost.dkim.keys.names import is_file_name, parse_identity, parse_selector
from gatepost.dkim.keys.path_template import KeyPath, SelectorMap, parse_template, read_selector_map
from gatepost.dkim.keys.report import Report
from gatepost.dkim.keys.source import KeyPlace, NamedKey, Source
from gatepost.dkim.keys.tables import Tables
from gatepost.dkim.signing_key import SigningKey
from gatepost.domains import LONGEST_NAME

if TYPE_CHECKING:
    from gatepost.config.dkim_settings import DkimSign


class KeySources:
    """The sources in their order: the first that has a key for a sender decides."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = tuple(sources)

    def find(self, local_part: str, domain: str) -> Sequence[SigningKey]:
        """All keys for the sender ``local_part@domain`` (domain as A-labels, lower case); none: an empty list.

        Raises KeyUnavailableError where there should be a key and it cannot be had.
        """
        # The domain may become d= and part of a path, so it has to look like one.
        if len(domain) <= LONGEST_NAME and is_file_name(domain):
            for source in self._sources:
                keys = source.find(local_part, domain)
                if keys:
                    return keys
        return []

    def explain(self, local_part: str, domain: str) -> str:
        """Say in one line which rule gives the sender's keys, or for each source why it gives none.

        The line holds nothing that the sender wrote, save a domain that can be a file name.
        """
        if not self._sources:
            return "no keys are configured"
        if len(domain) > LONGEST_NAME or not is_file_name(domain):
            return "the sender has no valid domain"
        reasons = []
        for source in self._sources:
            matched, text = source.explain(local_part, domain)
            if matched:
                return text
            reasons.append(text)
        return "; ".join(reasons)

    def places(self, most: int) -> list[KeyPlace]:
        """Where the first *most* keys lie that can be named beforehand, each pair of d= and s= once. Reads none."""
        found: dict[tuple[str, str], KeyPlace] = {}
        for place in chain.from_iterable(source.places() for source in self._sources):
            if len(found) == most:
                break
            found.setdefault((place.domain, place.selector), place)
        return list(found.values())

    def named(self) -> list[NamedKey]:
        """Every key that can be named beforehand, each pair of d= and s= once: the first source decides."""
        found: dict[tuple[str, str], NamedKey] = {}
        for source in self._sources:
            for key in source.named():
                found.setdefault((key.domain, key.selector), key)
        return list(found.values())

    def check_all(self) -> list[Problem]:
        """Read every key that can be named beforehand, and give what is wrong. Takes 0.5 ms a key."""
        return [problem for source in self._sources for problem in source.check_all()]

    def watched_files(self) -> list[Path]:
        """The tables and maps: when one changes, build anew. Key files look after themselves."""
        return [path for source in self._sources for path in source.watched_files()]

    def refused_changes(self) -> list[KeyFileError]:
        """What is wrong with key files that have changed, and whose former key is still in use."""
        errors = {str(error): error for source in self._sources for error in source.refused_changes()}
        return list(errors.values())


def build(settings: DkimSign, *, option: str = "", clock: Callable[[], float] = time.monotonic) -> KeySources:
    """Make the sources that *settings* ask for. Keys of ``keys:`` are read now, all others when they are needed.

    *option* is the daemon's section, such as ``daemons.dkim-sign``. *clock* gives seconds.
    Raises ConfigError with all that is wrong.
    """
    builder = _Builder(settings, option, clock)
    sources = [
        source
        for source in (builder.entries(), builder.key_path(), builder.tables(), builder.key_list())
        if source is not None
    ]
    if builder.problems:
        raise ConfigError(builder.problems)
    return KeySources(sources)


class _Builder:
    """Makes each source, and collects problems on the way."""

    def __init__(self, settings: DkimSign, option: str, clock: Callable[[], float]) -> None:
        self.problems: list[Problem] = []
        self._settings = settings
        self._prefix = f"{option}." if option else ""
        self._clock = clock
        self._rules = KeyRules(settings.min_rsa_bits, settings.require_safe_keys)
        # One cache for all, so that a file named by two of them is read once.
        self._cache = KeyCache(self._rules, clock=clock)
        self._identity = ""
        if settings.identity:
            try:
                self._identity = parse_identity(settings.identity)
            except ValueError as error:
                self._report("identity").add(str(error))

    def entries(self) -> Source | None:
        """The source for ``keys``."""
        if not self._settings.keys:
            return None
        return KeyEntries(
            self._settings.keys,
            self._rules,
            self._report("keys"),
            identity=self._identity,
            clock=self._clock,
        )

    def key_path(self) -> Source | None:
        """The source for ``key_path``, ``selector`` and ``selector_map``."""
        settings = self._settings
        if settings.key_path is None:
            if settings.selector_map is not None:
                self._report("selector_map").add("goes with key_path, which is missing")
            return None
        option = "key_path"
        try:
            template = parse_template(settings.key_path)
            option = "selector"
            selector = parse_selector(settings.selector)
        except ValueError as error:
            self._report(option).add(str(error))
            return None
        selector_map = SelectorMap("", {})
        if settings.selector_map is not None:
            selector_map = read_selector_map(settings.selector_map, self._report("selector_map"))
        return KeyPath(
            template, selector, selector_map, self._cache, self._identity, self._report("key_path").option
        )

    def tables(self) -> Source | None:
        """The source for ``key_table`` and ``signing_table``."""
        settings = self._settings
        if settings.key_table is None and settings.signing_table is None:
            return None
        if settings.signing_table is None:
            self._report("key_table").add("goes with signing_table, which is missing")
            return None
        if settings.key_table is None:
            self._report("signing_table").add("goes with key_table, which is missing")
            return None
        keys = self._dataset("key_table", settings.key_table)
        senders = self._dataset("signing_table", settings.signing_table)
        if keys is None or senders is None:
            return None
        reports = self._report("key_table"), self._report("signing_table")
        return Tables(keys, senders, self._cache, *reports, identity=self._identity)

    def key_list(self) -> Source | None:
        """The source for ``key_list``."""
        path = self._settings.key_list
        if path is None:
            return None
        return KeyList(path, self._cache, self._report("key_list"), self._identity)

    def _report(self, option: str) -> Report:
        return Report(self.problems, self._prefix + option)

    def _dataset(self, option: str, text: str) -> Dataset | None:
        try:
            return parse_dataset(text)
        except ValueError as error:
            self._report(option).add(str(error))
            return None
