"""``gatepost postfix``: the lines of main.cf and master.cf that fit the configuration at hand."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from gatepost.cli.options import add_config, add_json
from gatepost.cli.status import FINE
from gatepost.config.load import load
from gatepost.postfix.lines import Layout, Lines, Parameter, as_text, guess, lines

EXAMPLE = """gatepost postfix --layout a
  gatepost postfix --config /etc/gatepost/gatepost.yaml --json"""
EXIT_STATUS = "0 the lines are printed, 2 wrong arguments, 78 the configuration cannot be used"

_QUEUE = "/var/spool/postfix"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    add_config(parser)
    parser.add_argument(
        "--layout",
        type=str.lower,
        choices=[str(layout) for layout in Layout],
        help="where a content filter stands: a: after the queue, b: before the queue (smtpd_proxy_filter),"
        " c: there is none; the configuration tells which, where this is not given",
    )
    parser.add_argument(
        "--queue-directory",
        type=Path,
        default=Path(_QUEUE),
        metavar="DIR",
        help="Postfix's queue directory (default: %(default)s)",
    )
    add_json(parser)


def main(arguments: argparse.Namespace) -> int:
    """Print the lines, and give 0; a configuration that cannot be used gives 78."""
    config = load(arguments.config)
    layout, because = guess(config)
    if arguments.layout:
        layout, because = Layout(arguments.layout), "as asked for"
    found = lines(config, layout, because, str(arguments.queue_directory))
    print(json.dumps(_report(found), indent=2) if arguments.json else as_text(found))
    return FINE


def _report(found: Lines) -> dict[str, object]:
    return {
        "layout": str(found.layout),
        "because": found.because,
        "main.cf": _parameters(found.main),
        "master.cf": [
            {"line": entry.line, "options": _parameters(entry.options), "why": entry.why}
            for entry in found.master
        ],
        "notes": list(found.notes),
    }


def _parameters(parameters: tuple[Parameter, ...]) -> list[dict[str, str]]:
    return [parameter._asdict() for parameter in parameters]
