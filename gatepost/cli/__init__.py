"""The ``gatepost`` command.

Each command is a module of this package with ``add_arguments(parser)`` and
``main(arguments) -> int``, imported only when it is called for. Its
``--help`` ends with its ``EXAMPLE``, one command a line, and with what its
``EXIT_STATUS`` means.

Exit status: 0 fine, 1 what was asked about is not in order, 2 wrong usage,
78 the configuration cannot be used (EX_CONFIG of sysexits.h).
"""

from __future__ import annotations

import argparse
import importlib
import keyword
import os
import sys
import textwrap
from collections.abc import Sequence
from types import ModuleType

from gatepost.cli.status import CONFIGURATION, INTERRUPTED, PIPE_CLOSED, USAGE

COMMANDS = {
    "run": "run one daemon, in the foreground",
    "check": "check the configuration, and with --postfix Postfix's, without starting anything",
    "postfix": "print the lines of main.cf and master.cf that fit the configuration",
    "import": "take over the configuration of OpenDKIM, OpenDMARC, policyd-spf or postgrey",
    "record": "record the dialogue of a milter or policy service into a session file",
    "replay": "replay a session file against a milter or policy service",
    "dmarc": "show what DMARC makes of a domain, name by name",
    "verify": "verify a saved message, and tell why",
    "spf": "check a client and sender by SPF, and tell why",
    "greylist": "show, allow, forget and count what greylisting remembers",
    "dns": "show what a domain should publish beside what it does",
    "keygen": "make a key that signs, and the record to publish",
    "testkey": "compare the keys that sign with the DNS",
    "sign": "sign a saved message",
    "completion": "print what lets a shell complete commands and options",
    "version": "print the version",
}
"""The commands and what each is for, in the order in which --help shows them."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, *arguments* or those of the process, and give the exit status."""
    _open_closed_streams()
    try:
        status = _dispatch(list(sys.argv[1:] if arguments is None else arguments))
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader (head, a pager) has had enough. What is buffered has nowhere to go at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except KeyboardInterrupt:
        return INTERRUPTED
    return status


def _open_closed_streams() -> None:
    """Let a standard stream that was closed by whoever started us be /dev/null.

    Its number would be given to the first socket otherwise, and the log be written into that.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            # The lowest free descriptor is the closed one.
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115


def _dispatch(arguments: list[str]) -> int:
    name = arguments[0] if arguments else ""
    if name in COMMANDS:
        return _run(name, arguments[1:])
    parser = _overview()
    if name in ("-h", "--help", "help"):
        parser.print_help()
        return 0
    if name in ("-V", "--version"):
        return _run("version", arguments[1:])
    if not name:
        parser.print_help(sys.stderr)
        return USAGE
    # Imported here because it is needed nowhere else, and commands should start fast.
    from gatepost.config.words import did_you_mean, quoted

    print(f"gatepost: there is no command {quoted(name)}{did_you_mean(name, COMMANDS)}", file=sys.stderr)
    print("gatepost --help shows them all", file=sys.stderr)
    return USAGE


def _run(name: str, arguments: list[str]) -> int:
    command = module_of(name)
    try:
        status: int = command.main(parser_of(name).parse_args(arguments))
    except Exception as error:
        # Imported only now, as most commands have no configuration to fail on.
        from gatepost.config.errors import ConfigError

        if not isinstance(error, ConfigError):
            raise
        print(error, file=sys.stderr)
        return CONFIGURATION
    return status


def parser_of(name: str) -> argparse.ArgumentParser:
    """The parser of the command called *name*, one of ``COMMANDS``."""
    command = module_of(name)
    purpose = COMMANDS[name]
    parser = argparse.ArgumentParser(
        prog=f"gatepost {name}",
        description=f"{purpose[:1].upper()}{purpose[1:]}.",
        epilog=_epilog(getattr(command, "EXAMPLE", ""), getattr(command, "EXIT_STATUS", "")),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.add_arguments(parser)
    return parser


def _epilog(example: str, status: str) -> str:
    parts = [f"example:\n  {example}"] if example else []
    if status:
        parts.append(textwrap.fill(f"exit status: {status}", 80))
    return "\n\n".join(parts)


def module_of(name: str) -> ModuleType:
    """The module of the command called *name*, one of ``COMMANDS``."""
    # "import" can be no module's name in Python.
    return importlib.import_module(f"gatepost.cli.{name}{'_' if keyword.iskeyword(name) else ''}")


def _overview() -> argparse.ArgumentParser:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:{width}}  {purpose}" for name, purpose in COMMANDS.items()]
    return argparse.ArgumentParser(
        prog="gatepost",
        usage="gatepost COMMAND [options]",
        description="Mail authentication for Postfix, one small daemon a job.\n\ncommands:\n"
        + "\n".join(lines),
        epilog="gatepost COMMAND --help tells more of each.\n\nexample:\n"
        "  gatepost check --config /etc/gatepost/gatepost.yaml",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
