"""``gatepost completion``: what lets a shell complete commands, options, files and the names of daemons.

It is made from the commands' own parsers, so that it knows what they know.
"""

from __future__ import annotations

import argparse

from gatepost.cli.asking import add_optional_config, optional_config
from gatepost.cli.shells import SHELLS
from gatepost.cli.status import FINE, NOT_IN_ORDER
from gatepost.cli.syntax import commands
from gatepost.config.errors import ConfigError

EXAMPLE = """gatepost completion bash > /etc/bash_completion.d/gatepost
  gatepost completion zsh > /usr/local/share/zsh/site-functions/_gatepost
  gatepost completion fish > ~/.config/fish/completions/gatepost.fish"""
EXIT_STATUS = "0 done, 1 there is no configuration that names daemons, 2 wrong arguments"

_DAEMONS = "daemons"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument(
        "shell",
        choices=(*SHELLS, _DAEMONS),
        help="the shell; daemons prints their names, for the completion itself",
    )
    add_optional_config(parser, "the daemons' names")


def main(arguments: argparse.Namespace) -> int:
    """Print, and give 0, 1 or 2."""
    if arguments.shell != _DAEMONS:
        print(SHELLS[arguments.shell](commands()), end="")
        return FINE
    try:
        config = optional_config(arguments.config)
    except ConfigError:
        # Nothing to choose from; whoever types wants no complaint in the middle of a line.
        return NOT_IN_ORDER
    if config is None:
        return NOT_IN_ORDER
    print("\n".join(config.daemons))
    return FINE
