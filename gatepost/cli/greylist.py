"""``gatepost greylist``: look into the store of the greylist, and change what it remembers.

It works on the store that the configuration names, whether the daemon runs or
not. Exit status: 0 done, 1 the store does not work or nothing was found to
forget, 2 wrong arguments, 78 the configuration cannot be used.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

from gatepost.cli.greylist_search import add_search, origins_of, search_of
from gatepost.cli.options import add_config, add_json
from gatepost.cli.status import FINE, NOT_IN_ORDER, USAGE, UsageError
from gatepost.cli.terminal import styled, table
from gatepost.config.errors import ConfigError, Problem
from gatepost.config.greylist_settings import Greylist
from gatepost.config.load import load
from gatepost.config.sections import Daemon
from gatepost.config.words import listed, quoted
from gatepost.log import Logger
from policy.greylisting.decision import OriginRecord, TripletRecord
from policy.greylisting.key import (
    SPF,
)
from policy.greylisting.setup import check_store, make_store, rules_of
from policy.greylisting.store import Entry, Origin, Search, Store, StoreError

EXAMPLE = """gatepost greylist show --client 192.0.2.1
  gatepost greylist show --sender '*@example.org' --limit 20
  gatepost greylist show --origins
  gatepost greylist allow example.org
  gatepost greylist forget --client 192.0.2.1
  gatepost greylist stats --json"""
EXIT_STATUS = (
    "0 done, 1 the store does not work or nothing was found to forget, 2 wrong arguments, 78 the "
    "configuration cannot be used"
)

_MOST = 10_000
_LONGEST_CELL = 60
_TIME = "%Y-%m-%d %H:%M:%S"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="show|allow|forget|stats")

    show = actions.add_parser("show", help="what is remembered", allow_abbrev=False)
    add_search(show)
    show.add_argument("--origins", action="store_true", help="networks and SPF domains instead of messages")
    show.add_argument(
        "--limit", type=_limit, default=100, metavar="N", help="about how many lines (default: %(default)s)"
    )
    show.add_argument("--after", default="", metavar="PLACE", help="go on where the page before ended")

    allow = actions.add_parser("allow", help="let everything pass at once from a client or SPF domain")
    allow.add_argument("origin", metavar="CLIENT|DOMAIN", help="an address, its network, or a domain")

    forget = actions.add_parser("forget", help="forget entries, so that they are greylisted again")
    add_search(forget)
    forget.add_argument("--all", action="store_true", help="everything")

    stats = actions.add_parser("stats", help="how much is remembered")
    for each in (show, allow, forget, stats):
        add_config(each)
        each.add_argument("--daemon", metavar="NAME", help="which greylist, where there are several")
        add_json(each)


def _limit(text: str) -> int:
    number = int(text) if text.isascii() and text.isdigit() else 0
    if not 0 < number <= _MOST:
        raise argparse.ArgumentTypeError(f"expected a number from 1 to {_MOST}")
    return number


def main(arguments: argparse.Namespace) -> int:
    """Do what is asked."""
    config = load(arguments.config)
    name, settings = _chosen(config.daemons, arguments.daemon)
    check_store(settings, f"daemons.{name}")
    try:
        return asyncio.run(_done(arguments, settings))
    except UsageError as error:
        print(f"gatepost greylist: {error}", file=sys.stderr)
        return USAGE
    except StoreError as error:
        print(styled(f"gatepost greylist: {error}", "red", sys.stderr), file=sys.stderr)
        return NOT_IN_ORDER


def _chosen(daemons: Mapping[str, Daemon], name: str | None) -> tuple[str, Greylist]:
    """The greylist that is meant. Raises ConfigError."""
    greylists = {key: settings for key, settings in daemons.items() if isinstance(settings, Greylist)}
    if name is None and len({settings.store for settings in greylists.values()}) == 1:
        return next(iter(greylists.items()))  # what they remember is the same
    if name is not None and name in greylists:
        return name, greylists[name]
    if not greylists:
        text = "no daemon of the kind greylist is configured"
    elif name is None:
        text = f"there are several greylists: add --daemon {listed(greylists, 'or')}"
    else:
        text = f"no greylist is called {quoted(name)} (there is {listed(greylists, 'and')})"
    raise ConfigError([Problem("", 0, 0, "", text)])


async def _done(arguments: argparse.Namespace, settings: Greylist) -> int:
    action: Callable[[argparse.Namespace, Greylist, Store], Awaitable[int]] = {
        "show": _show,
        "allow": _allow,
        "forget": _forget,
        "stats": _stats,
    }[arguments.action]
    store = make_store(settings, Logger(daemon="greylist"))
    try:
        return await action(arguments, settings, store)
    finally:
        await store.close()


# -- what is done


async def _show(arguments: argparse.Namespace, settings: Greylist, store: Store) -> int:
    search = search_of(arguments, settings)
    rules = rules_of(settings)
    if arguments.origins:
        if not search.all_addresses:
            raise UsageError(
                "--origins has neither senders nor recipients: leave --sender and --recipient out"
            )
        origins, after = await store.origins(search, arguments.limit, arguments.after)
        rows = [_origin_facts(origin, settings) for origin in origins]
        heading: tuple[str, ...] = ("origin", "deliveries", "passes", "last seen", "forgotten")
    else:
        entries, after = await store.entries(search, arguments.limit, arguments.after)
        rows = [_entry_facts(entry, entry.record.expires(rules)) for entry in entries]
        heading = ("origin", "sender", "recipient", "state", "first seen", "last seen", "forgotten")
    if arguments.json:
        print(
            json.dumps({"origins" if arguments.origins else "entries": rows, "next": after or None}, indent=2)
        )
        return FINE
    if rows:
        first, *lines = table([heading, *(tuple(map(_cell, row.values())) for row in rows)])
        print(styled(first, "bold", sys.stdout))
        print("\n".join(lines))
    else:
        print("nothing found", file=sys.stderr)
    if after:
        print(f"there is more: the same with --after '{after}'", file=sys.stderr)
    return FINE


async def _allow(arguments: argparse.Namespace, settings: Greylist, store: Store) -> int:
    (origin,) = origins_of(arguments.origin, settings)
    await store.pin(origin, time.time())
    if arguments.json:
        print(json.dumps({"allowed": origin}))
        return FINE
    print(f"{origin} passes at once, until it is forgotten")
    if origin.startswith(SPF) and not settings.spf:
        print(styled("warning:", "yellow", sys.stderr), "spf: no makes this of no use", file=sys.stderr)
    return FINE


async def _forget(arguments: argparse.Namespace, settings: Greylist, store: Store) -> int:
    search = search_of(arguments, settings)
    if search == Search() and not arguments.all:
        raise UsageError("say what to forget: --client, --sender, --recipient, or --all")
    if search != Search() and arguments.all:
        raise UsageError("--all forgets everything: leave --client, --sender and --recipient out")
    entries, origins = await store.forget(search)
    if arguments.json:
        print(json.dumps({"entries": entries, "origins": origins}))
    else:
        print(f"forgotten: {entries} entries, {origins} networks or domains")
    return FINE if entries or origins else NOT_IN_ORDER


async def _stats(arguments: argparse.Namespace, settings: Greylist, store: Store) -> int:
    stats = await store.stats()
    facts: dict[str, object] = {
        "store": str(settings.store),
        "waiting": stats.waiting,
        "passed": stats.passed,
        "origins": stats.origins,
        "allowed": stats.allowed,
        "octets": stats.octets,
    }
    if arguments.json:
        print(json.dumps(facts, indent=2))
        return FINE
    rows: Sequence[Sequence[str]] = [
        ("store", str(settings.store)),
        ("waiting for another attempt", str(stats.waiting)),
        ("passed", str(stats.passed)),
        ("networks and SPF domains", str(stats.origins)),
        ("of these pass at once", str(stats.allowed)),
    ]
    if stats.octets is not None:
        rows = [*rows, ("size", f"{stats.octets / 1024**2:.1f} MB")]
    print("\n".join(table(rows)))
    return FINE


# -- what is shown


def _entry_facts(entry: Entry, expires: float) -> dict[str, object]:
    record: TripletRecord = entry.record
    return {
        **entry.triplet._asdict(),
        "state": "passed" if record.passed else "waiting",
        "first": _time(record.first),
        "last": _time(record.last),
        "expires": _time(expires),
    }


def _origin_facts(origin: Origin, settings: Greylist) -> dict[str, object]:
    record: OriginRecord = origin.record
    auto = 0 < settings.auto_allow <= record.deliveries
    return {
        "origin": origin.name,
        "deliveries": record.deliveries,
        "state": "by hand" if record.pinned else "at once" if auto else "after waiting",
        "last": _time(record.last),
        "expires": _time(record.expires(rules_of(settings))),
    }


def _time(seconds: float) -> str | None:
    """Local time to the second; None for never, and for what no calendar has."""
    try:
        return time.strftime(_TIME, time.localtime(seconds))
    except (OverflowError, ValueError, OSError):
        return None


def _cell(value: object) -> str:
    if value is None:
        return "never"
    text = str(value)
    return text if len(text) <= _LONGEST_CELL else f"{text[: _LONGEST_CELL - 1]}…"
