"""Options that several commands have."""

from __future__ import annotations

import argparse
from pathlib import Path

DEFAULT_CONFIG = Path("/etc/gatepost/gatepost.yaml")


def add_config(parser: argparse.ArgumentParser) -> None:
    """Add ``--config FILE``, which becomes ``arguments.config``."""
    parser.add_argument(
        "--config",
        type=Path,
        default=DEFAULT_CONFIG,
        metavar="FILE",
        help="the configuration (default: %(default)s)",
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add ``--json``."""
    parser.add_argument("--json", action="store_true", help="report as one JSON object on standard output")
