"""Asking the DNS from a command: whom to ask, and how questions and answers are shown."""

from __future__ import annotations

import argparse
from pathlib import Path

from gatepost.assembly import zone_of
from gatepost.cli.options import DEFAULT_CONFIG
from gatepost.config.load import load
from gatepost.config.sections import Dns
from gatepost.config.settings import Config
from gatepost.dns.answer import Answer, Outcome
from gatepost.dns.zone import Zone, load_zone
from gatepost.spf.result import safe

LONGEST_RECORD = 2000
"""Characters of a record that are shown."""

_NOTHING = {
    Outcome.NODATA: "no such records",
    Outcome.NXDOMAIN: "no such name",
    Outcome.SERVFAIL: "the servers failed",
    Outcome.TIMEOUT: "no answer in time",
}


def add_optional_config(parser: argparse.ArgumentParser, purpose: str) -> None:
    """Add ``--config FILE``, which may be missing; *purpose* says what is taken from it."""
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help=f"the configuration, for {purpose} (default: {DEFAULT_CONFIG}, if there is one)",
    )


def add_zone(parser: argparse.ArgumentParser) -> None:
    """Add ``--zone FILE``."""
    parser.add_argument(
        "--zone",
        type=Path,
        metavar="FILE",
        help="a zone file with all the DNS there is; no server is asked then",
    )


def optional_config(file: Path | None) -> Config | None:
    """The configuration that ``--config`` names, or the usual one if there is one. Raises ConfigError."""
    if file is None and not DEFAULT_CONFIG.exists():
        return None
    return load(file or DEFAULT_CONFIG)


def dns_of(config: Config | None, file: Path | None = None) -> tuple[Dns, Zone | None]:
    """Whom to ask: the zone *file* alone, or who the configuration names, or the system's servers.

    Raises ZoneError for *file*, ConfigError for the zone file of the configuration.
    """
    settings = config.dns if config is not None else Dns()
    if file is not None:
        return settings.model_copy(update={"nameservers": [], "zone": file}), load_zone(file)
    return settings, zone_of(config) if config is not None else None


def answer_words(answer: Answer) -> str:
    """An answer on one line: the records, or why there are none."""
    if answer.outcome is not Outcome.FOUND:
        why = f" ({safe(answer.detail)})" if answer.detail else ""
        return f"{_NOTHING[answer.outcome]}{why}"
    return ", ".join(record_texts(answer))


def record_texts(answer: Answer) -> list[str]:
    """The records of an answer, each as one line of printable ASCII."""
    return [_text(record) for record in answer.records]


def _text(record: object) -> str:
    if isinstance(record, bytes):
        return safe(record.decode("utf-8", "replace"), LONGEST_RECORD)
    if isinstance(record, tuple):
        return f"{record[0]} {safe(str(record[1])) or '.'}"
    return safe(str(record))
