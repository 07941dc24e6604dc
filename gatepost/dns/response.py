"""What a server's answer says about a question: records, an alias to follow, or why there are none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from gatepost.dns import names
from gatepost.dns.answer import Outcome

MAX_ALIASES = 8
"""CNAMEs followed from the name asked to the one that has the records."""

RECORD_TYPES = ("TXT", "A", "AAAA", "MX", "PTR", "CNAME")
"""The types that can be asked for."""

LONGEST_TTL = 0x7FFFFFFF
"""Seconds (RFC 2181 §8)."""

Section = list[dns.rrset.RRset]


class AliasError(Exception):
    """CNAMEs that lead nowhere: a loop, or too many. The message says which, in one line."""


@dataclass(frozen=True, slots=True)
class Response:
    """One server's answer, read.

    ``aliases`` are the names that CNAMEs in this answer lead to, in order.
    With ``open_ended`` the last of them has not been answered for, and has to
    be asked for next; ``outcome`` and ``records`` then mean nothing.
    ``ttl``, in seconds, is that of the records and of the CNAMEs that led to
    them, whichever is least; for NODATA and NXDOMAIN that of RFC 2308 §5, and
    0 where the server gave none. ``authentic`` is the AD bit.
    """

    outcome: Outcome
    records: tuple[object, ...] = ()
    ttl: int = 0
    authentic: bool = False
    detail: str = ""
    aliases: tuple[dns.name.Name, ...] = ()
    open_ended: bool = False


# dnspython gives records as one type with the fields of all.
_VALUES: dict[dns.rdatatype.RdataType, Callable[[Any], object]] = {
    dns.rdatatype.TXT: lambda record: b"".join(record.strings),
    dns.rdatatype.A: lambda record: record.address,
    dns.rdatatype.AAAA: lambda record: record.address,
    dns.rdatatype.MX: lambda record: (record.preference, names.text(record.exchange)),
    dns.rdatatype.PTR: lambda record: names.text(record.target),
    dns.rdatatype.CNAME: lambda record: names.text(record.target),
}


def extend(chain: list[dns.name.Name], alias: dns.name.Name) -> None:
    """Add *alias* to *chain*, the names asked for so far; raises :class:`AliasError`."""
    if alias in chain:
        raise AliasError("CNAME loop")
    if len(chain) > MAX_ALIASES:
        raise AliasError(f"more than {MAX_ALIASES} CNAMEs in a row")
    chain.append(alias)


def read(message: dns.message.Message, name: dns.name.Name, rdtype: dns.rdatatype.RdataType) -> Response:
    """Read the answer to a question for *name* and *rdtype*; raises :class:`AliasError`."""
    rcode = message.rcode()
    if rcode not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        return Response(Outcome.SERVFAIL, detail=dns.rcode.to_text(rcode))

    chain = [name]
    ttl = LONGEST_TTL
    found = _find(message.answer, name, rdtype)
    while not found:
        cnames = _find(message.answer, chain[-1], dns.rdatatype.CNAME)
        if not cnames:
            break
        ttl = min(ttl, cnames[0].ttl)
        target: Any = cnames[0][0]
        extend(chain, target.target)
        found = _find(message.answer, chain[-1], rdtype)

    aliases = tuple(chain[1:])
    authentic = bool(message.flags & dns.flags.AD)
    if found:
        if rcode == dns.rcode.NXDOMAIN:
            return Response(Outcome.SERVFAIL, detail="records for a name said not to exist")
        value = _VALUES[rdtype]
        records = tuple(value(rrset[0]) for rrset in found)
        ttl = min(ttl, *(rrset.ttl for rrset in found))
        return Response(Outcome.FOUND, records, ttl, authentic, aliases=aliases)

    negative_ttl = _negative_ttl(message, chain[-1])
    if rcode == dns.rcode.NXDOMAIN:
        # It speaks of the last name of the chain (RFC 6604 §3).
        return Response(Outcome.NXDOMAIN, (), min(ttl, negative_ttl or 0), authentic, aliases=aliases)
    if negative_ttl is None:
        if aliases:
            return Response(Outcome.NODATA, (), ttl, authentic, aliases=aliases, open_ended=True)
        if any(rrset.rdtype == dns.rdatatype.NS for rrset in message.authority):
            # A referral (RFC 2308 §2.2), from a server that does not recurse.
            return Response(Outcome.SERVFAIL, detail="the server does not answer for this name")
    return Response(Outcome.NODATA, (), min(ttl, negative_ttl or 0), authentic, aliases=aliases)


def _find(section: Section, name: dns.name.Name, rdtype: dns.rdatatype.RdataType) -> Section:
    """The records of *name* in *section*, each as a set of one (``wire.decode``), in their order."""
    return [
        rrset
        for rrset in section
        if rrset.rdtype == rdtype and rrset.rdclass == dns.rdataclass.IN and rrset.name == name
    ]


def _negative_ttl(message: dns.message.Message, name: dns.name.Name) -> int | None:
    """The TTL of the absence of *name*, from the SOA of its zone (RFC 2308 §5); None without an SOA."""
    for rrset in message.authority:
        if rrset.rdtype == dns.rdatatype.SOA and name.is_subdomain(rrset.name):
            soa: Any = rrset[0]
            return int(min(rrset.ttl, soa.minimum))
    return None
