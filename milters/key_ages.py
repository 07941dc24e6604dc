"""How old the signing keys are, for whoever watches that they are replaced in time."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from gatepost.dkim.keys.source import KeyPlace

MOST: Final = 1000
"""Keys that are told of, the first ones: a host with more has other means, and each is a time series."""

ANY: Final = "*"


class KeyAges:
    """The ages of the keys at *places*, by their d= and s= (``*`` where d= is the sender's own).

    A key is as old as its file. A file that is out of reach keeps the age that
    it was last seen with. *clock* gives seconds since 1970.
    """

    def __init__(
        self, daemon: str, places: Iterable[KeyPlace], clock: Callable[[], float] = time.time
    ) -> None:
        self._daemon = daemon
        self._clock = clock
        self._places = [KeyPlace(place.domain or ANY, place.selector, place.file) for place in places]
        self._changed: dict[str, float] = {}
        # Now, while we may still be root.
        self._look()

    def _look(self) -> None:
        for place in self._places:
            try:
                self._changed[place.file] = os.stat(place.file).st_mtime
            except OSError:
                pass  # gone, or not for our eyes: another counter tells of keys that cannot be used

    def collect(self) -> Iterator[Metric]:
        """The one family, with the ages as they are now."""
        self._look()
        now = self._clock()
        family = GaugeMetricFamily(
            "gatepost_key_age_seconds",
            "Since the key's file was last changed. The first 1000 keys that are configured by name.",
            labels=["daemon", "domain", "selector"],
        )
        for domain, selector, file in self._places:
            if file in self._changed:
                family.add_metric([self._daemon, domain, selector], max(0.0, now - self._changed[file]))
        yield family
