"""``key_path:``, a key for each domain, found by its name alone."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from gatepost.config.errors import Problem
from gatepost.config.words import quoted
from gatepost.dkim.keys.dataset import parse_lines
from gatepost.dkim.keys.keycache import KeyCache
from gatepost.dkim.keys.keyfile import KeyFileError, KeyFileMissingError
from gatepost.dkim.keys.names import identity_for, is_file_name, parse_domain, parse_selector
from gatepost.dkim.keys.report import Report
from gatepost.dkim.keys.source import Explanation, KeyPlace, NamedKey
from gatepost.dkim.signing_key import KeyUnavailableError, SigningKey

DOMAIN = "{domain}"
SELECTOR = "{selector}"

_PLACEHOLDER = re.compile(r"\{[^{}]*\}|\$[a-z]+")


class Selected(NamedTuple):
    """One line of a selector map."""

    selector: str
    line: int


class SelectorMap(NamedTuple):
    """Selectors by domain, and the file that names them; "" where there is none."""

    file: str
    selectors: Mapping[str, Selected]


def parse_template(text: str) -> str:
    """Check ``key_path``. Raises ValueError with one line."""
    for found in _PLACEHOLDER.findall(text):
        if found not in (DOMAIN, SELECTOR):
            known = {"$domain": DOMAIN, "$selector": SELECTOR}
            instead = known.get(found, f"{DOMAIN} or {SELECTOR}")
            raise ValueError(f"{quoted(found)} means nothing here: write {instead}")
    if not text.startswith("/"):
        raise ValueError(f"{quoted(text)} is not a whole path: it has to start with /")
    if DOMAIN not in text:
        raise ValueError(f'{DOMAIN} is missing: for one key for all domains use keys, with domain: "*"')
    return text


def read_selector_map(path: Path, report: Report) -> SelectorMap:
    """Read a file with ``domain selector`` lines and ``#`` comments; what is wrong goes to *report*."""
    selectors: dict[str, Selected] = {}
    for line, key, value in parse_lines(report.read(path) or ""):
        try:
            domain, selector = parse_domain(key), parse_selector(value)
        except ValueError as error:
            report.add(str(error), line)
            continue
        first = selectors.setdefault(domain, Selected(selector, line))
        if first.selector != selector:
            report.add(f"{domain} has another selector on line {first.line}: remove one of the lines", line)
    return SelectorMap(str(path), selectors)


class KeyPath:
    """Keys that lie where a template says, each for the mail of its own domain."""

    def __init__(
        self,
        template: str,
        selector: str,
        selector_map: SelectorMap,
        cache: KeyCache,
        identity: str,
        option: str,
    ) -> None:
        """Take *template* and *selector* as parse_template and parse_selector give them.

        *selector* is for the domains that the map does not name, *identity* is
        i=, "" for none, and *option* is the whole name of ``key_path``.
        """
        self._template = template
        self._selector = selector
        self._map = selector_map
        self._cache = cache
        self._identity = identity
        self._option = option

    def find(self, local_part: str, domain: str) -> list[SigningKey]:
        """The domain's key; none where its file does not exist. Raises KeyUnavailableError."""
        if not is_file_name(domain):
            return []
        selector = self._selector_of(domain)
        try:
            private = self._cache.get(self._path(domain, selector))
        except KeyFileMissingError:
            return []
        except KeyFileError as error:
            raise KeyUnavailableError(str(error)) from None
        return [SigningKey(domain, selector, private, identity_for(self._identity, domain, domain))]

    def explain(self, local_part: str, domain: str) -> Explanation:
        """The file that was looked for."""
        if not is_file_name(domain):
            return Explanation(False, "key_path: the sender's domain cannot be part of a file name")
        path = self._path(domain, self._selector_of(domain))
        try:
            self._cache.get(path)
        except KeyFileMissingError:
            return Explanation(False, f"key_path: {path} does not exist")
        except KeyFileError:
            pass  # there is a key for the sender; find tells what is wrong with it
        return Explanation(True, f"key_path: {path}")

    def places(self) -> Iterator[KeyPlace]:
        """The files that check_all reads, with the domain that their path says."""
        for domain, (selector, _) in self._map.selectors.items():
            yield KeyPlace(domain, selector, self._path(domain, selector))
        first, *rest = re.escape(self._template.replace(SELECTOR, self._selector)).split(re.escape(DOMAIN))
        pattern = re.compile(first + "([^/]+)" + r"\1".join(rest))
        for path in sorted(self._files()):
            match = pattern.fullmatch(path)
            if match and is_file_name(match[1]) and match[1] not in self._map.selectors:
                yield KeyPlace(match[1], self._selector, path)

    def named(self) -> Iterator[NamedKey]:
        """The keys that check_all reads, with the domain that their path says."""
        return (self._cache.named(*place) for place in self.places())

    def check_all(self) -> list[Problem]:
        """Read the keys of all domains in the selector map, and all files that bear the default selector."""
        problems = []
        paths = {
            self._path(domain, selector): line for domain, (selector, line) in self._map.selectors.items()
        }
        for path in self._files():
            paths.setdefault(path, 0)
        for path, line in sorted(paths.items()):
            try:
                self._cache.get(path)
            except KeyFileError as error:
                file, column = (self._map.file, 1) if line else ("", 0)
                problems.append(Problem(file, line, column, self._option, str(error)))
        return problems

    def watched_files(self) -> list[Path]:
        """The selector map."""
        return [Path(self._map.file)] if self._map.file else []

    def refused_changes(self) -> list[KeyFileError]:
        """Key files that have changed and cannot be used."""
        return self._cache.refused_changes()

    def _files(self) -> Iterator[str]:
        """The files that bear the default selector."""
        return glob.iglob(glob.escape(self._template).replace(DOMAIN, "*").replace(SELECTOR, self._selector))

    def _selector_of(self, domain: str) -> str:
        selected = self._map.selectors.get(domain)
        return selected.selector if selected else self._selector

    def _path(self, domain: str, selector: str) -> str:
        return self._template.replace(DOMAIN, domain).replace(SELECTOR, selector)
