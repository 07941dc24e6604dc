"""``gatepost check``: all that starting would find wrong, without starting anything."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from gatepost.cli.options import add_config
from gatepost.cli.prepare import prepare
from gatepost.cli.status import CONFIGURATION, FINE
from gatepost.cli.terminal import styled, table
from gatepost.config.errors import ConfigError, Problem
from gatepost.config.load import Loaded, read
from gatepost.config.settings import Config

EXAMPLE = "gatepost check --config /etc/gatepost/gatepost.yaml"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    add_config(parser)
    parser.add_argument("--json", action="store_true", help="report as one JSON object on standard output")


def main(arguments: argparse.Namespace) -> int:
    """Check, report, and give 0 or 78."""
    file: Path = arguments.config
    warnings: tuple[Problem, ...] = ()
    problems: tuple[Problem, ...] = ()
    config: Config | None = None
    try:
        loaded = read(file)
    except ConfigError as error:
        problems = error.problems
    else:
        config, warnings = loaded.config, loaded.warnings
        problems = tuple(_unprepared(loaded))
    if arguments.json:
        print(json.dumps(_report(config, problems, warnings), indent=2))
    else:
        _print(config, problems, warnings)
    return CONFIGURATION if problems else FINE


def _unprepared(loaded: Loaded) -> Iterable[Problem]:
    """What would keep each daemon from starting; every problem once, though daemons may share it."""
    found: dict[Problem, None] = {}
    for name in loaded.config.daemons:
        try:
            problems = prepare(loaded.config, name).check()
        except ConfigError as error:
            problems = error.problems
        found.update(dict.fromkeys(map(loaded.locate, problems)))
    return found


def _print(config: Config | None, problems: Sequence[Problem], warnings: Sequence[Problem]) -> None:
    for problem in problems:
        print(styled(str(problem), "red", sys.stderr), file=sys.stderr)
    for warning in warnings:
        print(f"{styled('warning:', 'yellow', sys.stderr)} {warning}", file=sys.stderr)
    if config is None or problems:
        return
    heading, *lines = table([("daemon", "kind", "socket", "metrics", "engine", "workers"), *_rows(config)])
    print(styled(heading, "bold", sys.stdout))
    for line in lines:
        print(line)


def _rows(config: Config) -> Iterable[tuple[str, ...]]:
    for name, daemon in config.daemons.items():
        sockets = ", ".join(map(str, daemon.socket))
        metrics = str(daemon.metrics) if daemon.metrics else "-"
        yield name, daemon.kind, sockets, metrics, daemon.engine, str(daemon.workers)


def _report(
    config: Config | None, problems: Sequence[Problem], warnings: Sequence[Problem]
) -> dict[str, object]:
    daemons = [
        {
            "name": name,
            "kind": daemon.kind,
            "sockets": [str(address) for address in daemon.socket],
            "metrics": str(daemon.metrics) if daemon.metrics else None,
            "engine": daemon.engine,
            "workers": daemon.workers,
        }
        for name, daemon in (config.daemons.items() if config else ())
    ]
    return {
        "daemons": daemons,
        "problems": [problem._asdict() for problem in problems],
        "warnings": [warning._asdict() for warning in warnings],
    }
