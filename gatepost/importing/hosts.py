"""Lists of hosts in OpenDKIM's and OpenDMARC's form, as networks or as ``ignore_hosts``."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network
from typing import NamedTuple

from gatepost.config.names import parse_host_pattern
from gatepost.config.words import quoted
from gatepost.importing.source import Place

Network = IPv4Network | IPv6Network

LOOPBACK: tuple[Network, ...] = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))
_MOST_NETWORKS = 1000
_MAPPED = IPv6Network("::ffff:0:0/96")


class Entry(NamedTuple):
    """One member of a list, and where it stands."""

    text: str
    place: Place


class Hosts(NamedTuple):
    """What a list comes to: networks, and the entries that are none, each with the reason."""

    networks: list[Network]
    others: list[tuple[Entry, str]]


def network_of(text: str) -> Network | None:
    """The network, or single address, that *text* is; None for anything else. IPv4 in IPv6 becomes IPv4."""
    address, slash, length = text.strip().partition("/")
    address = address.strip().removeprefix("[").removesuffix("]")
    if "%" in address:
        return None
    try:
        network = ip_network(f"{address}{slash}{length}", strict=False)
    except ValueError:
        return None
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        packed = network.network_address.packed[-4:]
        return IPv4Network((packed, network.prefixlen - 96))
    return network


def to_networks(entries: Iterable[Entry]) -> Hosts:
    """The networks of the list, with those taken out that ``!`` excepts.

    ``localhost`` is the loopback network; other names are no networks.
    """
    found: list[tuple[Network, bool]] = []
    others: list[tuple[Entry, str]] = []
    for entry in entries:
        name = entry.text.removeprefix("!").strip()
        network = network_of(name)
        excepted = entry.text.startswith("!")
        if network is not None:
            found.append((network, not excepted))
        elif name.lower() == "localhost":
            found += [(each, not excepted) for each in LOOPBACK]
        else:
            others.append(
                (entry, f"{quoted(entry.text)} is a name: give its addresses, which nobody can claim")
            )
    members: list[Network] = []
    # The narrower entry decides, so the wider ones come first; of two alike, the exception.
    for network, listed in sorted(found, key=lambda pair: (pair[0].prefixlen, not pair[1])):
        members = [*members, network] if listed else _without(members, network)
        if len(members) > _MOST_NETWORKS:
            first = next(iter(entries), Entry("", Place("")))
            return Hosts([], [(first, "has too many exceptions: give the networks without them")])
    return Hosts(collapse(members), others)


def _without(members: Iterable[Network], excepted: Network) -> list[Network]:
    rest: list[Network] = []
    for network in members:
        if isinstance(network, IPv4Network) and isinstance(excepted, IPv4Network):
            rest += _minus_v4(network, excepted)
        elif isinstance(network, IPv6Network) and isinstance(excepted, IPv6Network):
            rest += _minus_v6(network, excepted)
        else:
            rest.append(network)
    return rest


def _minus_v4(network: IPv4Network, excepted: IPv4Network) -> list[Network]:
    if network.subnet_of(excepted):
        return []
    return list(network.address_exclude(excepted)) if excepted.subnet_of(network) else [network]


def _minus_v6(network: IPv6Network, excepted: IPv6Network) -> list[Network]:
    if network.subnet_of(excepted):
        return []
    return list(network.address_exclude(excepted)) if excepted.subnet_of(network) else [network]


def collapse(networks: Iterable[Network]) -> list[Network]:
    """The same addresses in as few networks as possible, IPv4 first, in order."""
    listed = list(networks)
    four = [network for network in listed if isinstance(network, IPv4Network)]
    six = [network for network in listed if isinstance(network, IPv6Network)]
    return [*collapse_addresses(four), *collapse_addresses(six)]


def shown(networks: Iterable[Network]) -> list[str]:
    """*networks* as they stand in a configuration, single addresses without a length."""
    return [
        str(network.network_address) if network.prefixlen == network.max_prefixlen else str(network)
        for network in networks
    ]


def to_patterns(entries: Iterable[Entry]) -> tuple[list[str], list[tuple[Entry, str]]]:
    """The list as ``ignore_hosts`` has it, and the entries that cannot stand there, each with the reason."""
    patterns: dict[str, None] = {}
    others = []
    for entry in entries:
        name = entry.text.removeprefix("!").strip()
        network = network_of(name)
        try:
            if name.lower() == "localhost":
                plain = shown(LOOPBACK)
            else:
                plain = shown([network]) if network is not None else [parse_host_pattern(name)]
        except ValueError:
            others.append((entry, f"{quoted(entry.text)} is no address, network, host name or .domain"))
            continue
        negation = "!" if entry.text.startswith("!") else ""
        patterns.update(dict.fromkeys(negation + each for each in plain))
    return list(patterns), others
