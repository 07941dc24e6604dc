"""``gatepost testkey``: the keys that sign, against the DNS."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from gatepost.cli.asking import (
    add_optional_config,
    add_zone,
    answer_words,
    dns_of,
    optional_config,
    record_texts,
)
from gatepost.cli.options import add_json
from gatepost.cli.signers import Signers, signers
from gatepost.cli.status import FINE, NOT_IN_ORDER, USAGE, UsageError
from gatepost.cli.terminal import styled, table, visible, wrapped
from gatepost.config.sections import Dns
from gatepost.config.units import parse_positive_duration
from gatepost.config.words import quoted
from gatepost.dkim.keys.keyfile import KeyFileError, KeyRules, check_safe, load_private_key
from gatepost.dkim.keys.names import parse_domain, parse_selector
from gatepost.dkim.keys.source import NamedKey
from gatepost.dns.budget import Budget
from gatepost.dns.noting import NotingResolver
from gatepost.dns.zone import Zone, ZoneError
from gatepost.examine.key import MIN_BITS, KeyReport, examine_key, without_rsa

EXAMPLE = """gatepost testkey
  gatepost testkey example.nl
  gatepost testkey mail._domainkey.example.nl --file mail.private
  gatepost testkey example.org --selector 2026a --json"""
EXIT_STATUS = (
    "0 every key has its record, 1 one has not, or the DNS did not tell, 2 wrong arguments or a "
    "file that cannot be read, 78 the configuration cannot be used"
)

_MARK = "._domainkey."
_DAY = 86_400
_MAX_AGE = "365d"
_LONGEST_TTL = 2**31 - 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument(
        "names",
        nargs="*",
        metavar="DOMAIN|NAME",
        help="domains that sign, or names of key records; none given: every key of the configuration",
    )
    parser.add_argument("--selector", metavar="SELECTOR", help="only the keys with this s=")
    parser.add_argument(
        "--file", type=Path, metavar="FILE", help="a key file, in place of the configured keys"
    )
    parser.add_argument(
        "--max-age",
        type=_age,
        default=_MAX_AGE,
        metavar="TIME",
        help="hint at key files that are older, such as 180d or 52w (default: %(default)s)",
    )
    add_optional_config(parser, "its dns:, and the keys of its signing daemons")
    add_zone(parser)
    add_json(parser)


def _age(text: str) -> float:
    try:
        return parse_positive_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def main(arguments: argparse.Namespace) -> int:
    """Look, report, and give 0, 1 or 2."""
    try:
        configured = _configured(arguments)
        keys = _wanted(arguments, configured)
        settings, zone = dns_of(configured.config, arguments.zone)
    except (UsageError, ZoneError) as error:
        print(f"gatepost testkey: {error}", file=sys.stderr)
        return USAGE
    now = time.time()
    reports = asyncio.run(_examined(keys, settings, zone))
    notes = _notes(keys, configured, whole=not arguments.names)
    hints = [_hints(report.key, now, arguments.max_age) for report in reports]
    if arguments.json:
        print(json.dumps(_json(reports, hints, notes), indent=2))
    else:
        for line in _lines(reports, hints, notes):
            print(line)
    return NOT_IN_ORDER if not reports or any(report.problems for report in reports) else FINE


# -- which keys


def _configured(arguments: argparse.Namespace) -> Signers:
    """The signers; with ``--file`` their keys, which may be secret to us, are left alone. Raises ConfigError."""
    if arguments.file is not None:
        return Signers(optional_config(arguments.config), {})
    return signers(arguments.config)


def _wanted(arguments: argparse.Namespace, configured: Signers) -> list[NamedKey]:
    """The keys to look at, their domain known. Raises UsageError."""
    try:
        selector = parse_selector(arguments.selector) if arguments.selector is not None else ""
        names = [_parse_name(name, selector) for name in arguments.names]
    except ValueError as error:
        raise UsageError(str(error)) from None
    if arguments.file is not None:
        return [_from_file(arguments.file, names)]
    if not names:
        if configured.config is None:
            raise UsageError("there is no configuration: name a domain and a --selector, or --config FILE")
        keys = [key for key in configured.named() if key.domain and selector in ("", key.selector)]
        if not keys:
            raise UsageError("the configuration names no such key: name a domain")
        return keys
    found: list[NamedKey] = []
    for domain, wanted in names:
        keys = [key for key in configured.of(domain) if wanted in ("", key.selector)]
        if not keys and not wanted:
            raise UsageError(f"no key of {domain} is configured: name a --selector")
        found += keys or [NamedKey(domain, wanted, "", None)]
    return list({(key.domain, key.selector): key for key in found}.values())


def _parse_name(text: str, selector: str) -> tuple[str, str]:
    """Domain and selector, "" for none, of ``DOMAIN`` or ``SELECTOR._domainkey.DOMAIN``. Raises ValueError."""
    first, mark, domain = text.lower().partition(_MARK)
    if not mark:
        return parse_domain(text), selector
    if selector not in ("", first):
        raise ValueError(f"{quoted(text)} has another selector than {quoted(selector)}")
    return parse_domain(domain), parse_selector(first)


def _from_file(file: Path, names: Sequence[tuple[str, str]]) -> NamedKey:
    if len(names) != 1 or not names[0][1]:
        raise UsageError("--file goes with one domain and a --selector, or with the name of one record")
    try:
        private = load_private_key(file, KeyRules(MIN_BITS, require_safe=False))
    except KeyFileError as error:
        raise UsageError(str(error)) from None
    return NamedKey(*names[0], str(file), private)


async def _examined(keys: Sequence[NamedKey], settings: Dns, zone: Zone | None) -> list[KeyReport]:
    # The TTL is told as it is, not as long as a daemon would keep the answer.
    async with NotingResolver(settings.model_copy(update={"max_ttl": _LONGEST_TTL}), zone=zone) as resolver:
        # One after the other: a configuration may have thousands, and a server is not to be flooded.
        return [await examine_key(key, resolver, Budget(settings)) for key in keys]


# -- what else there is to say


def _hints(key: NamedKey, now: float, max_age: float) -> list[str]:
    """What the file says by itself."""
    if not key.file or key.private is None:
        return []
    try:
        status = os.stat(key.file)
        check_safe(Path(key.file), status.st_mode)
    except OSError:
        return []
    except KeyFileError as error:
        return [f"the file {error.text}"]
    age = now - status.st_mtime
    if age > max_age:
        return [f"the file is {age / _DAY:.0f} days old: time for a new key under a new selector?"]
    return []


def _notes(keys: Sequence[NamedKey], configured: Signers, *, whole: bool) -> list[str]:
    """What holds for domains, and, where all keys were asked for, which of them are not among *keys*."""
    if not configured.keys:
        return []  # what else the domain signs with is not known
    notes = [
        f"{domain} has Ed25519 keys alone: large receivers do not verify those; let an RSA key stand beside"
        for domain in without_rsa([*configured.named(), *keys])
        if domain and any(key.domain == domain and key.private is not None for key in keys)
    ]
    notes += [
        f"the key with selector {key.selector} signs for any domain: name the domains to see its records"
        for key in configured.named()
        if whole and not key.domain
    ]
    return notes


# -- for people


def _lines(
    reports: Sequence[KeyReport], hints: Sequence[Sequence[str]], notes: Sequence[str]
) -> Iterator[str]:
    for report, more in zip(reports, hints, strict=True):
        yield styled(report.name, "bold", sys.stdout)
        yield from _key_lines(report)
        for text in (*report.warnings, *more):
            yield from _warning(text, "  ")
        yield ""
    for note in notes:
        yield from _warning(note, "")
    bad = sum(bool(report.problems) for report in reports)
    if bad:
        yield styled(f"{bad} of {len(reports)} not in order", "red", sys.stdout)
    else:
        yield styled("all in order" if len(reports) > 1 else "in order", "bold", sys.stdout)


def _key_lines(report: KeyReport) -> Iterator[str]:
    if report.problems:
        for problem in report.problems:
            for line in wrapped(visible(problem), "  ", "    "):
                yield styled(line, "red", sys.stdout)
    elif report.same:
        yield "  the record holds the public half of the key"
    else:
        yield "  the record can be used; there is no key file to compare it with"
    rows = []
    if report.key.file:
        rows.append(("file", report.key.file))
    if report.description:
        rows.append(("published", report.description))
    if report.ttl is not None:
        rows.append(("kept for", f"{report.ttl:.0f} s (TTL)"))
    if report.problems and report.answer.records:
        rows += [("found", text) for text in record_texts(report.answer)]
    if report.problems and report.wanted and report.key.private is not None:
        rows.append(("publish", report.wanted))
    for line in table(rows) if rows else []:
        yield f"  {line}"


def _warning(text: str, indent: str) -> Iterator[str]:
    first, *more = wrapped(visible(text), f"{indent}warning: ", indent + "  ")
    yield first.replace("warning:", styled("warning:", "yellow", sys.stdout), 1)
    yield from more


# -- for programs


def _json(
    reports: Sequence[KeyReport], hints: Sequence[Sequence[str]], notes: Sequence[str]
) -> dict[str, object]:
    return {
        "keys": [
            {
                "name": report.name,
                "domain": report.key.domain,
                "selector": report.key.selector,
                "file": report.key.file or None,
                "status": report.status.value,
                "outcome": report.answer.outcome.value,
                "answer": answer_words(report.answer),
                "same": report.same,
                "published": report.description or None,
                "testing": report.testing,
                "ttl": report.ttl,
                "wanted": report.wanted or None,
                "problems": [visible(problem) for problem in report.problems],
                "warnings": [*report.warnings, *more],
            }
            for report, more in zip(reports, hints, strict=True)
        ],
        "warnings": list(notes),
    }
