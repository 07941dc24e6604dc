"""Who is never greylisted: lists of clients, and of addresses for recipients and senders.

They have postgrey's format, so that its files can be read as they are: one
entry a line, ``#`` begins a comment.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, ip_network
from typing import NamedTuple

from gatepost.config.words import quoted
from gatepost.domains import InvalidNameError, to_ascii
from gatepost.networks import Address, Network, parse_address
from policy.greylisting.key import NULL_SENDER
from policy.greylisting.pattern import PatternError, compile_pattern

_DIGITS = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){0,3}\.?")


class Line(NamedTuple):
    """An entry, and the number of the line it stands on."""

    number: int
    text: str


def entries(text: str) -> Iterator[Line]:
    """The entries of a list's file, without comments."""
    for number, line in enumerate(text.splitlines(), start=1):
        entry = line.strip()
        # The sign may stand in an expression.
        if not entry.startswith("/"):
            entry = entry.partition("#")[0].rstrip()
        if entry:
            yield Line(number, entry)


def _expression(entry: str) -> str | None:
    """What stands between the slashes, where *entry* is an expression; what follows is a comment."""
    if not entry.startswith("/"):
        return None
    inner, slash, rest = entry[1:].rpartition("/")
    if not slash or (rest.strip() and not rest.strip().startswith("#")):
        raise ValueError(f"{quoted(entry)} begins with a / and does not end with one")
    return inner


def _pattern(entry: str, inner: str) -> Callable[[str], bool]:
    try:
        return compile_pattern(inner)
    except PatternError as error:
        raise ValueError(f"{quoted(entry)}: {error}") from None


class ClientList:
    """Clients by domain (the domain and all below it), address, network, or expression.

    Domains and expressions are compared with the client's forward-confirmed
    name alone: any other is the client's own claim.
    """

    def __init__(self) -> None:
        self._domains: dict[str, str] = {}
        self._networks: dict[tuple[int, int], dict[int, str]] = {}
        self._patterns: list[tuple[Callable[[str], bool], str]] = []
        self._find = lru_cache(maxsize=8192)(self._look)

    def add(self, entry: str) -> None:
        """Add an entry. Raises ValueError, with one line, for one that cannot be used."""
        inner = _expression(entry)
        if inner is not None:
            self._patterns.append((_pattern(entry, inner), entry))
            return
        network = _network(entry)
        if network is not None:
            rest = network.max_prefixlen - network.prefixlen
            heads = self._networks.setdefault((network.version, rest), {})
            heads.setdefault(int(network.network_address) >> rest, entry)
            return
        try:
            self._domains.setdefault(to_ascii(entry.removeprefix(".")), entry)
        except InvalidNameError:
            text = f"{quoted(entry)} is no domain, address, network or /expression/"
            raise ValueError(text) from None

    def find(self, name: str, address: str) -> str:
        """The entry that the client is on the list by, or ""; *name* is "unknown" where none is confirmed."""
        return self._find(name, address)

    def _look(self, name: str, address: str) -> str:
        parsed = parse_address(address)
        if parsed is not None:
            for (version, rest), heads in self._networks.items():
                if version == parsed.version and int(parsed) >> rest in heads:
                    return heads[int(parsed) >> rest]
        name = name.lower().rstrip(".")
        if not name or name == "unknown":
            return ""
        return _by_domain(self._domains, name) or _by_pattern(self._patterns, name)


def _network(entry: str) -> Network | None:
    """The network that *entry* is; None for what looks like none. Raises ValueError for a broken one."""
    if _DIGITS.fullmatch(entry):
        octets = entry.rstrip(".").split(".")
        try:
            first = IPv4Address(".".join(octets + ["0"] * (4 - len(octets))))
        except ValueError:
            raise ValueError(f"{quoted(entry)} is no address") from None
        return IPv4Network((first, 8 * len(octets)))
    if "/" not in entry and ":" not in entry:
        return None
    address: Address | None = parse_address(entry)
    try:
        return ip_network(address if address is not None else entry, strict=False)
    except ValueError:
        raise ValueError(f"{quoted(entry)} is no address or network") from None


class AddressList:
    """Mail addresses.

    ``domain`` and all below it, ``name@`` in every domain, ``name@domain``,
    both with any ``+extension``, or an expression; ``<>`` is the null sender.
    """

    def __init__(self) -> None:
        self._domains: dict[str, str] = {}
        self._addresses: dict[str, str] = {}
        self._patterns: list[tuple[Callable[[str], bool], str]] = []

    def add(self, entry: str) -> None:
        """Add an entry. Raises ValueError, with one line, for one that cannot be used."""
        inner = _expression(entry)
        if inner is not None:
            self._patterns.append((_pattern(entry, inner), entry))
            return
        if entry == NULL_SENDER:
            self._addresses.setdefault("", entry)
            return
        local, _, domain = entry.rpartition("@")
        try:
            domain = to_ascii(domain.removeprefix(".")) if domain else ""
        except InvalidNameError:
            raise ValueError(f"{quoted(entry)} does not end in a domain") from None
        if local:
            self._addresses.setdefault(f"{local.lower()}@{domain}", entry)
        elif domain:
            self._domains.setdefault(domain, entry)
        else:
            raise ValueError(f"{quoted(entry)} is no domain, name@, name@domain or /expression/")

    def find(self, address: str) -> str:
        """The entry that *address* is on the list by, or ""."""
        if not (self._addresses or self._domains or self._patterns):
            return ""
        if not address:
            return self._addresses.get("", "")
        address = address.lower()
        local, at, domain = address.rpartition("@")
        if not at:
            # RFC 5321 §4.5.1: postmaster may stand alone.
            local, domain = domain, ""
        if not domain.isascii():
            try:
                domain = to_ascii(domain)
            except InvalidNameError:
                return ""
        domain = domain.removesuffix(".")
        for name in dict.fromkeys((local, local.partition("+")[0])):
            found = self._addresses.get(f"{name}@{domain}") or self._addresses.get(f"{name}@")
            if found:
                return found
        return _by_domain(self._domains, domain) or _by_pattern(self._patterns, address)


def _by_domain(domains: dict[str, str], name: str) -> str:
    """The entry for *name* or a domain above it, or ""."""
    # No name that DNS carries has more labels.
    for _ in range(128):
        if name in domains:
            return domains[name]
        _, dot, name = name.partition(".")
        if not dot:
            break
    return ""


def _by_pattern(patterns: Iterable[tuple[Callable[[str], bool], str]], text: str) -> str:
    for matches, entry in patterns:
        if matches(text):
            return entry
    return ""
