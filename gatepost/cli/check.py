"""``gatepost check``: all that starting would find wrong, without starting anything."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from gatepost.authres.secret import look
from gatepost.cli.options import add_config, add_json
from gatepost.cli.outlook import outlook
from gatepost.cli.prepare import prepare
from gatepost.cli.status import CONFIGURATION, FINE, NOT_IN_ORDER
from gatepost.cli.terminal import styled, table
from gatepost.config.errors import ConfigError, Problem
from gatepost.config.load import Loaded, read
from gatepost.config.settings import Config
from gatepost.postfix import running
from gatepost.postfix.check import check as check_postfix
from gatepost.postfix.finding import Finding, Level, error
from gatepost.postfix.reach import reacher

EXAMPLE = """gatepost check --config /etc/gatepost/gatepost.yaml
  gatepost check --postfix"""
EXIT_STATUS = (
    "0 all is well, 1 Postfix has our daemons not in place (--postfix), 2 wrong arguments, 78 the "
    "configuration cannot be used"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    add_config(parser)
    parser.add_argument(
        "--postfix",
        action="store_true",
        help="check also that the Postfix of this host has our daemons in place",
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--postconf",
        metavar="COMMAND",
        help="with --postfix: how to run postconf, as in 'docker exec mail postconf'"
        " (then nothing is said about sockets on this host)",
    )
    which.add_argument(
        "--config-directory", metavar="DIR", help="with --postfix: where its main.cf and master.cf are"
    )
    add_json(parser)


def main(arguments: argparse.Namespace) -> int:
    """Check, report, and give 0, 1 (an error in Postfix's configuration) or 78 (one in our own)."""
    file: Path = arguments.config
    warnings: tuple[Problem, ...] = ()
    problems: tuple[Problem, ...] = ()
    config: Config | None = None
    try:
        loaded = read(file)
    except ConfigError as error:
        problems = error.problems
    else:
        config = loaded.config
        warnings = (*loaded.warnings, *outlook(loaded))
        problems = tuple(_unprepared(loaded))
    findings: list[Finding] | None = None
    if config is not None and _asks_postfix(arguments):
        findings = _postfix(config, arguments.postconf, arguments.config_directory)
    if arguments.json:
        print(json.dumps(_report(config, problems, warnings, findings), indent=2))
    else:
        _print(config, problems, warnings)
        _print_postfix(findings)
    if problems:
        return CONFIGURATION
    return NOT_IN_ORDER if any(each.level is Level.ERROR for each in findings or ()) else FINE


def _asks_postfix(arguments: argparse.Namespace) -> bool:
    return arguments.postfix or arguments.postconf is not None or arguments.config_directory is not None


def _postfix(config: Config, command: str | None, directory: str | None) -> list[Finding]:
    """What there is to say about Postfix."""
    try:
        postconf = shlex.split("postconf" if command is None else command)
        instance = running.instance([*postconf, "-c", directory] if directory else postconf)
    except (running.PostconfError, ValueError) as fault:
        return [error("postconf", str(fault))]
    # Behind a command of the administrator's, Postfix may see another file system than we do.
    eyes = None if command else reacher(instance.value("mail_owner") or "postfix")
    return check_postfix(instance, config, eyes.obstacle if eyes else None)


def _unprepared(loaded: Loaded) -> Iterable[Problem]:
    """What would keep each daemon from starting; every problem once, though daemons may share it."""
    found: dict[Problem, None] = {}
    for name in loaded.config.daemons:
        try:
            problems = prepare(loaded.config, name, lambda path, _group: look(path)).check()
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


def _print_postfix(findings: Sequence[Finding] | None) -> None:
    if findings is None:
        return
    for finding in findings:
        word = f"{finding.level}:"
        print(styled(word, _STYLES[finding.level], sys.stdout) if finding.level in _STYLES else word, finding)
    if not findings:
        print("postfix: all is in place")


_STYLES = {Level.ERROR: "red", Level.WARNING: "yellow"}


def _rows(config: Config) -> Iterable[tuple[str, ...]]:
    for name, daemon in config.daemons.items():
        sockets = ", ".join(map(str, daemon.socket))
        metrics = str(daemon.metrics) if daemon.metrics else "-"
        yield name, daemon.kind, sockets, metrics, daemon.engine, str(daemon.workers)


def _report(
    config: Config | None,
    problems: Sequence[Problem],
    warnings: Sequence[Problem],
    findings: Sequence[Finding] | None,
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
    report: dict[str, object] = {
        "daemons": daemons,
        "problems": [problem._asdict() for problem in problems],
        "warnings": [warning._asdict() for warning in warnings],
    }
    if findings is not None:
        report["postfix"] = [finding._asdict() for finding in findings]
    return report
