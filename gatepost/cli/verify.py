"""``gatepost verify``: all results for a saved message, and why.

Exit status: 0 nothing fails; 1 something does: a signature that does not pass
(unless its key is in testing), SPF that is fail, temperror or permerror, DMARC
likewise, or a header beyond the limits; 2 wrong arguments, or a file that cannot
be read; 78 the configuration cannot be used.
"""

from __future__ import annotations

import argparse
import asyncio
import errno
import json
import os
import sys
import time
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from typing import BinaryIO

from gatepost.authres.strip import Ids
from gatepost.cli.asking import add_optional_config, add_zone, dns_of, optional_config
from gatepost.cli.options import add_json
from gatepost.cli.status import FINE, NOT_IN_ORDER, USAGE
from gatepost.cli.verify_json import as_json
from gatepost.cli.verify_text import lines
from gatepost.config.addresses import SocketAddress
from gatepost.config.dkim_settings import DkimVerify
from gatepost.config.dmarc_settings import Dmarc
from gatepost.config.sections import Dns
from gatepost.config.settings import Config
from gatepost.dmarc.evaluate import TREE_WALK, by_suffix_list
from gatepost.dns.budget import Budget
from gatepost.dns.noting import NotingResolver
from gatepost.dns.zone import Zone, ZoneError
from gatepost.examine.message import Rules, examine
from gatepost.examine.report import Report
from gatepost.examine.saved import Saved, read_saved
from gatepost.hosts import HostList
from gatepost.message import Envelope
from gatepost.networks import parse_address
from gatepost.spf.result import safe
from gatepost.suffixes import organizational_domain_by_list, public_suffix_test
from milters.dkim_verify import policy_of
from milters.dmarc_action import Action, decide
from milters.replies import HEADER_TOO_LARGE

EXAMPLE = """gatepost verify message.eml
  gatepost verify message.eml --ip 192.0.2.1 --helo mail.example.org --from bob@example.org
  gatepost verify - --zone zone.yaml --date 2023-11-14T22:13:20 --json < message.eml"""
EXIT_STATUS = (
    "0 nothing fails; 1 a signature does not pass (unless its key is in testing), SPF or DMARC is "
    "fail, temperror or permerror, or the header is beyond the limits; 2 wrong arguments or a file "
    "that cannot be read; 78 the configuration cannot be used"
)

_ANY_SOCKET = [SocketAddress.parse("inet:1@127.0.0.1")]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("file", metavar="FILE", help="the message as it was saved; - is standard input")
    parser.add_argument("--ip", metavar="ADDRESS", help="the client that brought it: SPF is checked for it")
    parser.add_argument("--helo", metavar="NAME", help="what the client called itself")
    parser.add_argument(
        "--from",
        dest="mail_from",
        metavar="MAILFROM",
        help="the envelope's sender; '<>' for the null sender (default: the Return-Path field, if there is one)",
    )
    parser.add_argument(
        "--date",
        type=_moment,
        metavar="WHEN",
        help="judge as of then, not now: 2023-11-14, 2023-11-14T22:13:20+01:00, @1700000000, "
        "or as in a Date field; UTC unless it says otherwise",
    )
    add_optional_config(parser, "its dns:, and for the options of dkim-verify and dmarc")
    add_zone(parser)
    add_json(parser)


def main(arguments: argparse.Namespace) -> int:
    """Read, judge, report, and give 0, 1 or 2."""
    if arguments.ip is None and (arguments.helo is not None or arguments.mail_from is not None):
        return _unusable("--helo and --from are for SPF, which needs --ip too")
    if arguments.ip is not None and parse_address(arguments.ip) is None:
        return _unusable(f"{safe(arguments.ip)} is no IP address")
    config = optional_config(arguments.config)
    verifying, dmarc = _options(config)
    try:
        settings, zone = dns_of(config, arguments.zone)
    except ZoneError as error:
        return _unusable(str(error))
    rules = Rules(
        policy=policy_of(verifying, public_suffix_test()),
        method=TREE_WALK if dmarc.org_domain == "tree" else by_suffix_list(organizational_domain_by_list()),
        now=time.time() if arguments.date is None else arguments.date,
        new_budget=partial(Budget, settings),
        ids=Ids(config.authserv_id, config.authserv_aliases) if config is not None else None,
        receiver=config.authserv_id if config is not None else "unknown",
    )
    try:
        with _opened(arguments.file) as stream:
            saved = read_saved(stream, verifying.limits)
            report = asyncio.run(_examined(saved, _envelope(arguments, saved), rules, settings, zone))
    except OSError as error:
        return _unusable(f"{safe(arguments.file)}: {error.strerror}")
    if not (saved.headers or saved.stray or saved.body_size or saved.oversized):
        return _unusable(f"{safe(arguments.file)}: there is no message in it")
    action = _action(report, dmarc)
    if arguments.json:
        print(json.dumps(as_json(report, saved, action), indent=2))
    else:
        for line in lines(report, saved, action):
            print(line)
    return NOT_IN_ORDER if report.failures else FINE


def _opened(file: str) -> AbstractContextManager[BinaryIO]:
    """The file to read, standard input for "-", which stays open. Raises OSError."""
    if file == "-":
        return nullcontext(sys.stdin.buffer)
    try:
        return open(file, "rb")
    except ValueError:
        # A NUL in the name.
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)) from None


async def _examined(
    saved: Saved, envelope: Envelope, rules: Rules, settings: Dns, zone: Zone | None
) -> Report:
    async with NotingResolver(settings, zone=zone) as resolver:
        return await examine(saved, envelope, rules, resolver)


def _options(config: Config | None) -> tuple[DkimVerify, Dmarc]:
    """The options of the first dkim-verify and of the first dmarc that enforces; the defaults without them."""
    daemons = config.daemons.values() if config is not None else ()
    verifying = (each for each in daemons if isinstance(each, DkimVerify))
    enforcing = (each for each in daemons if isinstance(each, Dmarc) and each.mode == "enforce")
    return (
        next(verifying, DkimVerify(socket=_ANY_SOCKET)),
        next(enforcing, Dmarc(socket=_ANY_SOCKET)),
    )


def _envelope(arguments: argparse.Namespace, saved: Saved) -> Envelope:
    if arguments.ip is None:
        return Envelope()
    sender = _octets(arguments.mail_from) if arguments.mail_from is not None else _return_path(saved)
    return Envelope(
        client_address=arguments.ip,
        helo=_octets(arguments.helo or ""),
        mail_from=sender.removeprefix(b"<").removesuffix(b">"),
    )


def _return_path(saved: Saved) -> bytes:
    """The envelope's sender as the last MTA has written it (RFC 5321 §4.4); empty where it is not sure."""
    values = [value for name, value in saved.headers if name.lower() == b"return-path"]
    return values[0].strip() if len(values) == 1 else b""


def _action(report: Report, dmarc: Dmarc) -> Action:
    """What dmarc-enforce would do."""
    if report.evaluation is None:
        return Action(HEADER_TOO_LARGE, "reject")
    # A saved message does not tell the client's name, so forwarders are known by address alone.
    client = report.message.envelope.client_address
    forwarded = bool(client) and HostList(dmarc.trusted_forwarders).matches("", client)
    return decide(report.evaluation, dmarc, report.message, forwarded)


def _moment(text: str) -> float:
    """Read a time; gives seconds since 1970. Raises ArgumentTypeError."""
    try:
        if text.startswith("@"):
            return datetime.fromtimestamp(int(text[1:]), UTC).timestamp()
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            moment = parsedate_to_datetime(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError, OSError):
        raise argparse.ArgumentTypeError(
            f"{safe(text, 60)!r} is no time, such as 2023-11-14T22:13:20"
        ) from None


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _unusable(text: str) -> int:
    print(f"gatepost verify: {text}", file=sys.stderr)
    return USAGE
