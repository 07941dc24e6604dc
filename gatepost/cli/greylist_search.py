"""What of the greylist's memory a command means: by client, sender and recipient, as they are typed."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from gatepost.cli.status import UsageError
from gatepost.config.greylist_settings import Greylist
from gatepost.config.words import quoted
from gatepost.domains import InvalidNameError, to_ascii
from gatepost.networks import parse_address
from policy.greylisting.key import (
    NULL_SENDER,
    SPF,
    network,
    normalise_recipient,
    normalise_sender,
    spf_origin,
)
from policy.greylisting.store import Search


def add_search(parser: argparse.ArgumentParser) -> None:
    """Add ``--client``, ``--sender`` and ``--recipient``."""
    parser.add_argument("--client", metavar="CLIENT", help="an address, its network, or an SPF domain")
    parser.add_argument("--sender", metavar="SENDER", help="an address or domain; * stands for any text")
    parser.add_argument(
        "--recipient", metavar="RECIPIENT", help="an address or domain; * stands for any text"
    )


def origins_of(text: str, settings: Greylist) -> tuple[str, ...]:
    """The origins that *text* names. Raises UsageError."""
    address, slash, length = text.partition("/")
    if parse_address(address) is not None:
        found = network(address, settings.ipv4_prefix, settings.ipv6_prefix)
        if slash and found.partition("/")[2] != length:
            raise UsageError(f"clients are remembered by networks such as {found}; for others see allow:")
        return (found,)
    try:
        return (spf_origin(to_ascii(text.removeprefix(SPF))),)
    except InvalidNameError:
        raise UsageError(f"{quoted(text)} is no address, network or domain") from None


def search_of(arguments: argparse.Namespace, settings: Greylist) -> Search:
    """What ``--client``, ``--sender`` and ``--recipient`` name; without them, everything. Raises UsageError."""
    return Search(
        origins_of(arguments.client, settings) if arguments.client else (),
        _address_pattern(arguments.sender, normalise_sender),
        _address_pattern(arguments.recipient, normalise_recipient),
    )


def _address_pattern(text: str | None, normalise: Callable[[str], str]) -> str:
    if text is None:
        return "*"
    if text in ("", NULL_SENDER):
        return NULL_SENDER
    if "*" in text:
        return text.lower()
    return normalise(text) if "@" in text else f"*@{text.lower()}"
