"""``gatepost run NAME``: start one daemon and stay in the foreground.

Exit status: 0 after it was told to stop, 1 when it cannot run, 78 when the
configuration is at fault (EX_CONFIG of sysexits.h).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from gatepost.cli.options import add_config
from gatepost.cli.prepare import prepare
from gatepost.cli.status import CONFIGURATION, NOT_IN_ORDER
from gatepost.config.errors import ConfigError
from gatepost.config.load import Loaded, read
from gatepost.config.settings import Config
from gatepost.log import Logger
from gatepost.service.daemon import Build, Daemon, ServiceError
from gatepost.service.supervisor import Supervisor

EXAMPLE = "gatepost run dkim-verify --config /etc/gatepost/gatepost.yaml"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("name", metavar="NAME", help="the daemon, as it is called in the configuration")
    add_config(parser)


def main(arguments: argparse.Namespace) -> int:
    """Run the daemon until it is told to stop."""
    return run(arguments.name, arguments.config, prepare)


def run(name: str, file: Path, build: Callable[[Config, str], Daemon]) -> int:
    """Run the daemon called *name*, made by *build* from the configuration in *file*."""
    log = Logger(daemon=name)
    try:
        return Supervisor(name, *_steps(name, file, build, log)).run()
    except ConfigError as error:
        _complain(log, [str(problem) for problem in error.problems])
        return CONFIGURATION
    except ServiceError as error:
        _complain(log, [str(error)])
        return NOT_IN_ORDER
    finally:
        log.close()


def _steps(
    name: str, file: Path, build: Callable[[Config, str], Daemon], log: Logger
) -> tuple[Callable[[], Config], Build]:
    """What the supervisor does at the start and for each reload: read the file, and build from it."""
    latest: Loaded

    def read_file() -> Config:
        nonlocal latest
        latest = read(file)
        for warning in latest.warnings:
            log.event("warning", str(warning))
        return latest.config

    def build_located(config: Config) -> Daemon:
        try:
            return build(config, name)
        except ConfigError as error:
            raise ConfigError([latest.locate(problem) for problem in error.problems]) from error

    return read_file, build_located


def _complain(log: Logger, lines: list[str]) -> None:
    """Say why it does not start: plainly to a person, as a log line to whoever else started us."""
    for line in lines:
        if sys.stderr.isatty():
            print(f"gatepost: {line}", file=sys.stderr)
        else:
            log.event("error", line)
