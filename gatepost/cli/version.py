"""``gatepost version``."""

from __future__ import annotations

import argparse

from gatepost import __version__
from gatepost.cli.status import FINE

EXAMPLE = "gatepost version"
EXIT_STATUS = "0 always, 2 wrong arguments"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """There are none."""


def main(arguments: argparse.Namespace) -> int:
    """Print name and version on one line."""
    print(f"gatepost {__version__}")
    return FINE
