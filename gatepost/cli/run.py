"""``gatepost run NAME``: start one daemon and stay in the foreground.

Exit status: 0 after it was told to stop, 1 when it cannot run, 78 when the
configuration is at fault (EX_CONFIG of sysexits.h).
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from itertools import chain, repeat
from pathlib import Path

from gatepost.authres.secret import load, load_or_create
from gatepost.cli.options import add_config
from gatepost.cli.prepare import prepare
from gatepost.cli.status import CONFIGURATION, FINE, NOT_IN_ORDER, USAGE
from gatepost.config.errors import ConfigError
from gatepost.config.load import Loaded, read
from gatepost.config.settings import Config
from gatepost.log import Logger, adopt_libraries
from gatepost.metrics import Metrics
from gatepost.service.daemon import Build, Daemon, ServiceError
from gatepost.service.privileges import drop, identity
from gatepost.service.supervisor import Supervisor

EXAMPLE = "gatepost run dkim-verify --config /etc/gatepost/gatepost.yaml"
EXIT_STATUS = "0 it was told to stop, 1 it cannot run, 2 wrong arguments, 78 the configuration cannot be used"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("name", metavar="NAME", help="the daemon, as it is called in the configuration")
    add_config(parser)
    parser.add_argument(
        "--stdio",
        action="store_true",
        help="serve one connection on standard input and output, as Postfix's spawn(8) has it "
        "(policy services only); logs to syslog",
    )


def main(arguments: argparse.Namespace) -> int:
    """Run the daemon until it is told to stop."""
    if arguments.stdio:
        return run_on_stdio(arguments.name, arguments.config, prepare)
    return run(arguments.name, arguments.config, _builder())


def _builder() -> Callable[[Config, str], Daemon]:
    """What builds the daemon, at the start and for each reload.

    Only a start makes a seal secret where there is none. A reload that did
    would believe none of what the other daemons have sealed.
    """
    secrets = chain([load_or_create], repeat(lambda path, _group: load(path)))
    return lambda config, name: prepare(config, name, next(secrets))


def run(name: str, file: Path, build: Callable[[Config, str], Daemon]) -> int:
    """Run the daemon called *name*, made by *build* from the configuration in *file*."""
    log = Logger(daemon=name)
    try:
        return _status(lambda: Supervisor(name, *_steps(name, file, build, log)).run(), log)
    finally:
        log.close()


def run_on_stdio(name: str, file: Path, build: Callable[[Config, str], Daemon]) -> int:
    """Run the policy service called *name* on standard input and output, without a supervisor."""
    from policy import stdio  # not needed by those that have a supervisor
    from policy.assembly import PolicyDaemon

    streams = stdio.Streams.take()
    log = stdio.logger(name)

    def serve() -> int:
        load, prepare_daemon = _steps(name, file, build, log)
        config = load()
        log.adjust(config.log.level, config.log.format)
        daemon = prepare_daemon(config)
        if not isinstance(daemon, PolicyDaemon):
            _complain(log, [f"{name} is no policy service: --stdio is not for milters, which need a socket"])
            return USAGE
        if os.geteuid() == 0:
            drop(identity(daemon.settings.user or config.user, daemon.settings.group or config.group))
        adopt_libraries(log)
        stdio.run(lambda: daemon.terms(log, Metrics(name)), streams)
        return FINE

    try:
        return _status(serve, log)
    finally:
        streams.close()
        log.close()


def _status(work: Callable[[], int], log: Logger) -> int:
    """What *work* gives; where it cannot be done, the reason is told, and the status says whose fault it is."""
    try:
        return work()
    except ConfigError as error:
        _complain(log, [str(problem) for problem in error.problems])
        return CONFIGURATION
    except ServiceError as error:
        _complain(log, [str(error)])
        return NOT_IN_ORDER


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
