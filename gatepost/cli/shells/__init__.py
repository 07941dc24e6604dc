"""Completion for bash, zsh and fish, written from the commands as data.

Names of daemons are asked of ``gatepost completion daemons``, with the
``--config`` that stands on the line.
"""

from collections.abc import Callable, Sequence

from gatepost.cli.shells import bash, fish, zsh
from gatepost.cli.syntax import Command

SHELLS: dict[str, Callable[[Sequence[Command]], str]] = {
    "bash": bash.completion,
    "zsh": zsh.completion,
    "fish": fish.completion,
}
"""The shells that are known, and what makes their completion."""
