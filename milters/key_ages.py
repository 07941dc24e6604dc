"""How old the signing keys are, for whoever watches that they are replaced in time."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from gatepost.config.dkim_settings import SigningKeyEntry
from gatepost.dkim.keys.names import parse_domain, parse_selector

MOST: Final = 1000
"""Keys that are told of, the first ones: a host with more has other means, and each is a time series."""

ANY: Final = "*"


class KeyAges:
    """The ages of the keys in ``keys:``, by their d= and s= (``*`` where d= is the sender's own).

    A key is as old as its file. A file that is out of reach keeps the age that
    it was last seen with. *clock* gives seconds since 1970. The entries have
    been found valid before.
    """

    def __init__(
        self, daemon: str, entries: Sequence[SigningKeyEntry], clock: Callable[[], float] = time.time
    ) -> None:
        self._daemon = daemon
        self._clock = clock
        self._files: dict[tuple[str, str], str] = {}
        self._changed: dict[str, float] = {}
        for entry in entries:
            if len(self._files) < MOST:
                domain = entry.signing_domain or _domain_of(entry.domain)
                self._files.setdefault((domain, parse_selector(entry.selector)), str(entry.file))
        # Now, while we may still be root.
        self._look()

    def _look(self) -> None:
        for file in self._files.values():
            try:
                self._changed[file] = os.stat(file).st_mtime
            except OSError:
                pass  # gone, or not for our eyes: another counter tells of keys that cannot be used

    def collect(self) -> Iterator[Metric]:
        """The one family, with the ages as they are now."""
        self._look()
        now = self._clock()
        family = GaugeMetricFamily(
            "gatepost_key_age_seconds",
            "Since the key's file was last changed. The first 1000 of `keys:`.",
            labels=["daemon", "domain", "selector"],
        )
        for (domain, selector), file in self._files.items():
            if file in self._changed:
                family.add_metric([self._daemon, domain, selector], max(0.0, now - self._changed[file]))
        yield family


def _domain_of(sender: str) -> str:
    domain = sender.strip().rpartition("@")[2]
    return domain if domain == ANY else parse_domain(domain)
