"""All that a domain should publish for its mail, beside what it does publish."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gatepost.dkim.keys.source import NamedKey
from gatepost.dkim.publish import record_text
from gatepost.dmarc.evaluate import TREE_WALK
from gatepost.dns.answer import Outcome
from gatepost.dns.budget import Budget
from gatepost.dns.noting import NotingResolver
from gatepost.examine.domain import DomainReport, look_into
from gatepost.examine.item import Item, Status
from gatepost.examine.key import KeyReport, examine_key, without_rsa
from gatepost.examine.server_names import addresses_of, exchanges, server_items
from gatepost.examine.spf_record import spf_item
from gatepost.examine.tls_policy import mta_sts_items, tls_rpt_item


@dataclass(frozen=True, slots=True)
class Plan:
    """What is known of a domain's mail.

    ``server`` is the name of the host that sends it, "" where it is not known;
    ``keys`` are the keys that sign, their ``domain`` given. ``keys_known`` is
    False where there was no configuration to tell. ``now`` is in seconds since 1970.
    """

    domain: str
    server: str
    keys: Sequence[NamedKey]
    keys_known: bool
    now: float


async def look_up(plan: Plan, resolver: NotingResolver, new_budget: Callable[[], Budget]) -> list[Item]:
    """Ask for everything, and compare. Raises nothing of its own."""
    domain, server = plan.domain, plan.server
    addresses, failed = await addresses_of(server, resolver, new_budget) if server else ([], False)
    incoming = await exchanges(domain, server, resolver, new_budget)
    receives = server in incoming.names
    items = [await spf_item(domain, server, addresses, resolver, new_budget, receives=receives)]
    items += [key_item(await examine_key(key, resolver, new_budget())) for key in plan.keys]
    if not plan.keys:
        items.append(_no_key(plan))
    elif without_rsa(plan.keys):
        note = "the keys are Ed25519 alone: large receivers do not verify those"
        items.append(Item("DKIM", domain, "TXT", Status.DIFFERS, notes=(note,)))
    items.append(dmarc_item(await look_into(domain, TREE_WALK, resolver, new_budget)))
    items += await mta_sts_items(domain, incoming.names, plan.now, resolver, new_budget)
    items.append(await tls_rpt_item(domain, resolver, new_budget))
    items.append(incoming.item)
    if server:
        items += await server_items(server, addresses, failed, resolver, new_budget)
    return items


def key_item(report: KeyReport) -> Item:
    """A key and its record."""
    found = tuple(record.decode("latin-1") for record in report.answer.records if isinstance(record, bytes))
    wanted = ""
    if report.status is not Status.OK and report.key.private is not None:
        wanted = record_text(report.key.private.public_key())
    return Item(
        "DKIM", report.name, "TXT", report.status, found, wanted, (*report.problems, *report.warnings)
    )


def _no_key(plan: Plan) -> Item:
    name = f"*._domainkey.{plan.domain}"
    if not plan.keys_known:
        note = "no configuration names the selectors; gatepost testkey looks at one record"
        return Item("DKIM", name, "TXT", Status.UNKNOWN, notes=(note,), optional=True)
    note = f"no key signs for {plan.domain}: gatepost keygen {plan.domain} makes one"
    return Item("DKIM", name, "TXT", Status.MISSING, notes=(note,))


def dmarc_item(report: DomainReport) -> Item:
    """The record that applies to mail of the domain, its own or its organization's."""
    step = report.steps[0]
    found = tuple(text.text for text in step.texts if text.record is not None or text.problem)
    evaluation = report.own.evaluation
    fresh = f"v=DMARC1; p=none; rua=mailto:dmarc-reports@{report.domain}"
    notes = list(report.warnings)
    if report.own.applies:
        inherited = evaluation.policy_domain != report.domain
        if inherited:
            notes.insert(0, f"none of its own; that of {evaluation.policy_domain} applies")
        notes.append(f"policy for its mail: {evaluation.applied}")
        if inherited and found:
            # A record of its own that is passed over is a mistake.
            return Item("DMARC", step.asked, "TXT", Status.DIFFERS, found, fresh, tuple(notes))
        return Item("DMARC", step.asked, "TXT", Status.OK, found, notes=tuple(notes))
    if any(each.answer.temporary for each in report.steps):
        return Item("DMARC", step.asked, "TXT", Status.UNKNOWN, found, notes=(evaluation.reason,))
    if found:
        return Item("DMARC", step.asked, "TXT", Status.DIFFERS, found, fresh, tuple(notes))
    if step.answer.outcome is Outcome.FOUND:
        notes.append("the TXT record there is no DMARC record")
    notes.append("begin with p=none and read the reports; then quarantine, then reject")
    return Item("DMARC", step.asked, "TXT", Status.MISSING, wanted=fresh, notes=tuple(notes))
