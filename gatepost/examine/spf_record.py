"""The SPF record of a domain, as seen by the server that sends its mail (RFC 7208)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from gatepost.dns.answer import Answer
from gatepost.dns.budget import Budget
from gatepost.dns.resolver import Resolver
from gatepost.examine.item import Item, Status
from gatepost.spf.check import Check
from gatepost.spf.questions import MAX_VOID_LOOKUPS
from gatepost.spf.result import SpfResult, Verdict
from gatepost.spf.trace import Term, Trace

MAX_LOOKUPS = 10
"""Terms that cost look-ups (RFC 7208 §4.6.4)."""

_STRANGER = "240.0.0.1"
"""A client that no network of a sane record has in it (RFC 1112 §4, class E): all terms have their turn."""

_SENDER = b"postmaster@"


async def spf_item(
    domain: str,
    server: str,
    addresses: Sequence[str],
    resolver: Resolver,
    new_budget: Callable[[], Budget],
    *,
    receives: bool,
) -> Item:
    """Check the record of *domain* (A-labels) for each address of *server*, which may be "".

    *receives* says that the domain's MX is the server.
    """
    answer = await resolver.lookup(domain, "TXT", new_budget())
    found = tuple(text.decode("latin-1") for text in _records(answer))
    term = "mx" if receives else f"a:{server}" if server else "mx"
    fresh = f"v=spf1 {term} -all"
    if answer.temporary:
        note = f"the DNS did not tell: {answer.detail or answer.outcome}"
        return Item("SPF", domain, "TXT", Status.UNKNOWN, notes=(note,))
    if not found:
        return Item("SPF", domain, "TXT", Status.MISSING, wanted=fresh)
    if len(found) > 1:
        note = f"{len(found)} SPF records, which make all results permerror: leave one (RFC 7208 §4.5)"
        return Item("SPF", domain, "TXT", Status.DIFFERS, found, notes=(note,))
    stranger, trace = await _checked(domain, _STRANGER, resolver, new_budget)
    status, notes = Status.OK, [_cost(stranger)]
    if stranger.verdict is Verdict.PERMERROR:
        status = Status.DIFFERS
        notes.insert(0, f"the record is broken: {stranger.problem}")
        return Item("SPF", domain, "TXT", status, found, notes=tuple(notes))
    if stranger.verdict is Verdict.TEMPERROR:
        return Item("SPF", domain, "TXT", Status.UNKNOWN, found, notes=(stranger.problem,))
    notes += _doubts(stranger, trace)
    refused = []
    for address in addresses:
        result, _ = await _checked(domain, address, resolver, new_budget)
        if result.verdict is Verdict.PASS:
            notes.append(f"{address} ({server}) passes by {result.mechanism}")
        else:
            refused.append(address)
            notes.append(f"{address} ({server}) does not pass: {result.verdict}")
    wanted = ""
    if refused:
        status = Status.DIFFERS
        version, _, rest = found[0].partition(" ")
        wanted = f"{version} a:{server} {rest}".rstrip()
    return Item("SPF", domain, "TXT", status, found, wanted, tuple(notes))


def _records(answer: Answer) -> Iterable[bytes]:
    for record in answer.records:
        if isinstance(record, bytes) and record.lower().partition(b" ")[0] == b"v=spf1":
            yield record


async def _checked(
    domain: str, client: str, resolver: Resolver, new_budget: Callable[[], Budget]
) -> tuple[SpfResult, Trace | None]:
    check = Check(resolver, new_budget(), client, b"", _SENDER + domain.encode("ascii"), traced=True)
    return check.now() or await check.finish(), check.trace


def _cost(result: SpfResult) -> str:
    voids = ""
    if result.void_lookups:
        voids = f", {result.void_lookups} of at most {MAX_VOID_LOOKUPS} find nothing"
    return f"terms that cost look-ups: {result.lookups} of at most {MAX_LOOKUPS}{voids}"


def _doubts(stranger: SpfResult, trace: Trace | None) -> Iterable[str]:
    """What a record that is sound should not say."""
    if stranger.verdict is Verdict.PASS:
        yield f"any host may send for the domain, by {stranger.mechanism}"
    elif stranger.verdict is Verdict.NEUTRAL:
        yield "the record says nothing of hosts that it does not name: end it with -all or ~all"
    if trace and any(isinstance(step, Term) and step.mechanism == "ptr" for step in trace.steps):
        yield "ptr is slow and unreliable, and should not be used (RFC 7208 §5.5)"
