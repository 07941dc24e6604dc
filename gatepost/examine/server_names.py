"""The server's name and addresses, there and back, and who receives a domain's mail."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from gatepost.dns.answer import Answer
from gatepost.dns.budget import Budget
from gatepost.dns.resolver import Resolver
from gatepost.examine.item import Item, Status


@dataclass(frozen=True, slots=True)
class Exchanges:
    """The MX of a domain: ``names`` in the order of preference, without the null MX (RFC 7505)."""

    item: Item
    names: tuple[str, ...]


async def addresses_of(
    name: str, resolver: Resolver, new_budget: Callable[[], Budget]
) -> tuple[list[str], bool]:
    """All addresses of *name*, IPv4 first, and whether the DNS failed to tell."""
    answers = await asyncio.gather(*(resolver.lookup(name, rdtype, new_budget()) for rdtype in ("A", "AAAA")))
    found = [str(record) for answer in answers for record in answer.records]
    return found, any(answer.temporary for answer in answers)


async def exchanges(
    domain: str, server: str, resolver: Resolver, new_budget: Callable[[], Budget]
) -> Exchanges:
    """The MX records of *domain*, each with an address; *server*, which may be "", need not be among them."""
    answer = await resolver.lookup(domain, "MX", new_budget())
    pairs = [pair for pair in answer.records if isinstance(pair, tuple)]
    found = tuple(f"{preference} {name or '.'}" for preference, name in pairs)
    names = tuple(str(name) for _, name in sorted(pairs) if name)
    if answer.temporary:
        return Exchanges(Item("MX", domain, "MX", Status.UNKNOWN, notes=(_trouble(answer),)), ())
    if not found:
        wanted = f"10 {server}." if server else ""
        note = "without MX, mail goes to the addresses of the domain itself (RFC 5321 §5.1)"
        return Exchanges(Item("MX", domain, "MX", Status.MISSING, wanted=wanted, notes=(note,)), ())
    if not names:
        return Exchanges(
            Item("MX", domain, "MX", Status.OK, found, notes=("the domain takes no mail (RFC 7505)",)), ()
        )
    status, notes = Status.OK, []
    for name in names:
        addresses, failed = await addresses_of(name, resolver, new_budget)
        if not addresses and not failed:
            status = Status.DIFFERS
            notes.append(f"{name} has no address")
    if server and server not in names:
        notes.append(f"{server} is not among them: as it should be where it only sends")
    return Exchanges(Item("MX", domain, "MX", status, found, notes=tuple(notes)), names)


async def server_items(
    server: str, addresses: Sequence[str], failed: bool, resolver: Resolver, new_budget: Callable[[], Budget]
) -> list[Item]:
    """The addresses of *server*, and for each the name that it leads back to (RFC 1912 §2.1)."""
    if not addresses:
        status = Status.UNKNOWN if failed else Status.MISSING
        note = "the DNS did not tell" if failed else "publish A and AAAA with the server's public addresses"
        return [Item("server", server, "A, AAAA", status, notes=(note,))]
    inside = [address for address in addresses if not ip_address(address).is_global]
    notes = tuple(f"{address} is no public address" for address in inside)
    items = [Item("server", server, "A, AAAA", Status.OK, tuple(addresses), notes=notes)]
    for address in addresses:
        items.append(await _pointer(address, server, resolver, new_budget))
    return items


async def _pointer(address: str, server: str, resolver: Resolver, new_budget: Callable[[], Budget]) -> Item:
    name = ip_address(address).reverse_pointer
    answer = await resolver.lookup(name, "PTR", new_budget())
    found = tuple(map(str, answer.records))
    if answer.temporary:
        return Item("PTR", name, "PTR", Status.UNKNOWN, notes=(_trouble(answer),))
    status = Status.OK if [each.lower() for each in found] == [server] else Status.DIFFERS
    if not found:
        status = Status.MISSING
    if status is Status.OK:
        return Item("PTR", name, "PTR", status, found)
    note = f"receivers distrust {address} as long as it does not lead back to {server}"
    if server in [each.lower() for each in found]:
        note = f"{address} has several names: leave {server} alone"
    whose = "whoever gave you the address sets it"
    return Item("PTR", name, "PTR", status, found, f"{server}.", (note, whose))


def _trouble(answer: Answer) -> str:
    return f"the DNS did not tell: {answer.detail or answer.outcome}"
