"""Lists of hosts by name, domain, address and network, with exceptions: OpenDKIM's PeerList, as admins know it.

An entry is an address, a network, a host name, or ``.domain`` for every host
below it; ``!`` in front makes it an exception. The narrowest entry decides,
names before addresses; of two alike, the exception.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from ipaddress import ip_network

from gatepost.networks import parse_address


class HostList:
    """Entries as written in the configuration. Raises ValueError, with the entry, for one that is none."""

    def __init__(self, entries: Iterable[str]) -> None:
        self._decisions: dict[str, bool] = {}
        for entry in entries:
            text = entry.strip()
            listed = not text.startswith("!")
            key = _key(text.removeprefix("!").strip())
            if not key:
                raise ValueError(f'"{entry}" is no address, network, host name or .domain')
            self._decisions[key] = listed and self._decisions.get(key, True)
        # The same clients come again and again, and most lists are short.
        self._matches = lru_cache(maxsize=4096)(self._look)

    def __bool__(self) -> bool:
        return bool(self._decisions)

    def matches(self, name: str, address: str) -> bool:
        """Whether the client of that verified *name* ("" or "unknown" for none) and *address* is on the list."""
        return self._matches(name, address)

    def _look(self, name: str, address: str) -> bool:
        for key in (*_names(name), *_networks(address)):
            decision = self._decisions.get(key)
            if decision is not None:
                return decision
        return False


def _key(text: str) -> str:
    """The one form of an entry; "" for what is none."""
    try:
        return str(ip_network(text, strict=False))
    except ValueError:
        pass
    name = text.lower().rstrip(".")
    labels = name.removeprefix(".").split(".")
    plain = all(label and label.replace("-", "").replace("_", "").isalnum() for label in labels)
    return name if plain else ""


def _names(name: str) -> Iterator[str]:
    name = name.lower().rstrip(".")
    if name and name != "unknown":
        yield name
        while "." in name:
            name = name[name.index(".") + 1 :]
            yield "." + name


def _networks(text: str) -> Iterator[str]:
    address = parse_address(text)
    if address is not None:
        for length in range(address.max_prefixlen, -1, -1):
            yield str(ip_network(f"{address}/{length}", strict=False))
