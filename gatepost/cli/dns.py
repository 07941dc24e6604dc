"""``gatepost dns``: what a domain should publish for its mail, beside what it does publish."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Iterator, Sequence
from functools import partial

from gatepost.cli.asking import LONGEST_RECORD, add_optional_config, add_zone, dns_of, optional_config
from gatepost.cli.options import add_json
from gatepost.cli.signers import Signers, signers
from gatepost.cli.status import FINE, NOT_IN_ORDER, USAGE
from gatepost.cli.terminal import styled, visible, wrapped
from gatepost.config.errors import ConfigError
from gatepost.config.sections import Dns
from gatepost.dkim.publish import bind
from gatepost.dns.budget import Budget
from gatepost.dns.noting import NotingResolver
from gatepost.dns.zone import Zone, ZoneError
from gatepost.domains import InvalidNameError, to_ascii
from gatepost.examine.item import Item, Status
from gatepost.examine.publication import Plan, look_up
from gatepost.spf.result import safe

EXAMPLE = """gatepost dns example.nl
  gatepost dns example.nl --server mail.example.nl --json"""
EXIT_STATUS = (
    "0 all is as it should be (MTA-STS and TLS-RPT may be missing), 1 something is missing, differs "
    "or could not be found out, 2 wrong arguments, 78 the configuration cannot be used"
)

_STYLES = {Status.OK: "bold", Status.UNKNOWN: "yellow"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("domain", metavar="DOMAIN", help="a domain of yours; may be internationalized")
    parser.add_argument(
        "--server",
        metavar="NAME",
        help="the host that sends its mail, by its name in the DNS (default: authserv_id of the configuration)",
    )
    add_optional_config(parser, "its dns:, the server's name, and the keys of its signing daemons")
    add_zone(parser)
    add_json(parser)


def main(arguments: argparse.Namespace) -> int:
    """Look, report, and give 0, 1 or 2."""
    try:
        domain = to_ascii(arguments.domain)
        server = to_ascii(arguments.server) if arguments.server is not None else ""
    except InvalidNameError as error:
        print(f"gatepost dns: not a domain: {error}", file=sys.stderr)
        return USAGE
    configured = _configured(arguments)
    config = configured.config
    try:
        settings, zone = dns_of(config, arguments.zone)
    except ZoneError as error:
        print(f"gatepost dns: {error}", file=sys.stderr)
        return USAGE
    if not server and config is not None and "." in config.authserv_id:
        server = config.authserv_id.lower()
    plan = Plan(domain, server, configured.of(domain), bool(configured.keys), time.time())
    items = asyncio.run(_looked_up(plan, settings, zone))
    if arguments.json:
        print(json.dumps(_json(plan, items), indent=2))
    else:
        for line in _lines(plan, items):
            print(line)
    return FINE if all(item.in_order for item in items) else NOT_IN_ORDER


def _configured(arguments: argparse.Namespace) -> Signers:
    """The signers; without their keys where these cannot be read, as by users who may not."""
    try:
        return signers(arguments.config)
    except ConfigError as error:
        config = optional_config(arguments.config)
        print(f"gatepost dns: the keys are left out: {error.problems[0]}", file=sys.stderr)
        return Signers(config, {})


async def _looked_up(plan: Plan, settings: Dns, zone: Zone | None) -> list[Item]:
    async with NotingResolver(settings, zone=zone) as resolver:
        return await look_up(plan, resolver, partial(Budget, settings))


# -- for people


def _lines(plan: Plan, items: Sequence[Item]) -> Iterator[str]:
    whose = f", sent by {plan.server}" if plan.server else ""
    yield styled(f"Mail of {plan.domain}{whose}", "bold", sys.stdout)
    for item in items:
        yield ""
        yield from _item_lines(item)
    if not plan.server:
        yield ""
        yield from wrapped("the server's name is not known: its addresses are left out; --server names it")
    yield ""
    bad = [item.kind for item in items if not item.in_order]
    if bad:
        yield styled(f"to be done: {', '.join(dict.fromkeys(bad))}", "red", sys.stdout)
    else:
        yield styled("all as it should be", "bold", sys.stdout)


def _item_lines(item: Item) -> Iterator[str]:
    word = styled(item.status, _STYLES.get(item.status, "red"), sys.stdout)
    if item.optional and item.status is Status.MISSING:
        word = f"{item.status} (optional)"
    yield f"{item.kind}: {word}  {safe(item.name, 300)}"
    for text in item.found:
        yield from wrapped(safe(text, LONGEST_RECORD), "  is:     ")
    if not item.found and item.status is not Status.UNKNOWN:
        yield "  is:     nothing"
    if item.wanted:
        first, *more = record(item).split("\n")
        yield f"  should: {first}"
        yield from (f"          {line}" for line in more)
    for note in item.notes:
        yield from wrapped(visible(note), "  note:   ")


def record(item: Item) -> str:
    """The record to publish, as in a zone file."""
    if item.rdtype == "TXT":
        return bind(item.name, item.wanted)
    return f"{item.name}. IN {item.rdtype} {item.wanted}"


# -- for programs


def _json(plan: Plan, items: Sequence[Item]) -> dict[str, object]:
    return {
        "domain": plan.domain,
        "server": plan.server or None,
        "in_order": all(item.in_order for item in items),
        "items": [
            {
                "kind": item.kind,
                "name": item.name,
                "type": item.rdtype,
                "status": item.status.value,
                "optional": item.optional,
                "found": [safe(text, LONGEST_RECORD) for text in item.found],
                "wanted": item.wanted or None,
                "record": record(item) if item.wanted else None,
                "notes": [visible(note) for note in item.notes],
            }
            for item in items
        ],
    }
