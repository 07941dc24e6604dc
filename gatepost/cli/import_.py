"""``gatepost import``: the configuration of another daemon as ours, and an account of what did not come along.

Exit status: 0 all is understood, 1 a line or a file is not, 2 wrong arguments
or a file that cannot be read or written.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator

from gatepost.cli.status import FINE, NOT_IN_ORDER, USAGE
from gatepost.cli.terminal import styled, wrapped
from gatepost.config.words import did_you_mean, quoted
from gatepost.importing.draft import TROUBLE, Draft, Remark, Sort
from gatepost.importing.files import read_file
from gatepost.importing.source import UnreadableError
from gatepost.importing.take_over import PEERS, take_over
from gatepost.importing.yaml_text import to_yaml

EXAMPLE = """gatepost import opendkim /etc/opendkim-verify.conf /etc/opendkim-sign.conf
  gatepost import opendkim /etc/opendkim.conf /etc/default/opendkim
  gatepost import opendmarc /etc/opendmarc.conf /etc/opendmarc-stamp.conf
  gatepost import policyd-spf /etc/postfix-policyd-spf-python/policyd-spf.conf
  gatepost import postgrey /etc/default/postgrey --output greylist.yaml"""
EXIT_STATUS = (
    "0 all is understood, 1 a line or a file is not, 2 wrong arguments or a file that cannot be "
    "read or written"
)

_TITLES = {
    Sort.FLAW: "Cannot be read:",
    Sort.UNKNOWN: "Unknown options:",
    Sort.UNSUPPORTED: "Not carried over, as it is not supported:",
    Sort.LEFT_OUT: "Not carried over, as it has no meaning here:",
    Sort.SAME: "Not carried over, and nothing is lost:",
    Sort.DIFFERENT: "Works otherwise:",
    Sort.TO_DO: "To do:",
}
"""The parts of the report, in their order; what is carried over stands in the configuration itself."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("peer", type=_peer, metavar="|".join(PEERS), help="the daemon that the files are of")
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="its configuration, one file an instance; a file of /etc/default completes the one before it",
    )
    parser.add_argument("--output", metavar="FILE", help="write the configuration to a new file")
    parser.add_argument("--json", action="store_true", help="give both as one JSON object")


def _peer(text: str) -> str:
    if text not in PEERS:
        names = ", ".join(PEERS)
        raise argparse.ArgumentTypeError(f"{quoted(text)} is none of {names}{did_you_mean(text, PEERS)}")
    return text


def main(arguments: argparse.Namespace) -> int:
    """Take over, report, and give 0, 1 or 2."""
    files = []
    for path in map(os.path.abspath, arguments.files):
        try:
            files.append((path, read_file(path)))
        except UnreadableError as error:
            print(f"gatepost import: {path} {error}", file=sys.stderr)
            return USAGE
    draft = take_over(arguments.peer, files, read_file)
    text = f"# Made by gatepost import {arguments.peer}\n{to_yaml(draft)}"
    if arguments.output is not None and not _written(arguments.output, text):
        return USAGE
    if arguments.json:
        print(json.dumps(_report(draft, text), indent=2))
    else:
        if arguments.output is None:
            print(text, end="", flush=True)
        for line in _told(draft):
            print(line, file=sys.stderr)
    return NOT_IN_ORDER if any(remark.sort in TROUBLE for remark in draft.remarks) else FINE


def _written(path: str, text: str) -> bool:
    """Write a new file; an old one may hold more than this."""
    try:
        with open(path, "x", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
    except FileExistsError:
        print(f"gatepost import: {path} is there already: name another, and merge them", file=sys.stderr)
    except OSError as error:
        print(f"gatepost import: {path} cannot be written: {error.strerror}", file=sys.stderr)
    else:
        return True
    return False


def _told(draft: Draft) -> Iterator[str]:
    """The report for people."""
    carried = len({remark.place for remark in draft.remarks if remark.sort is Sort.CARRIED})
    yield ""
    yield f"Carried over: {carried} {'line' if carried == 1 else 'lines'}."
    for sort, title in _TITLES.items():
        remarks = [remark for remark in draft.remarks if remark.sort is sort]
        if remarks:
            yield ""
            colour = "red" if sort in TROUBLE else "yellow" if sort is Sort.TO_DO else "bold"
            yield styled(title, colour, sys.stderr)
            for remark in remarks:
                yield from wrapped(_shown(str(remark)), "  ", "    ")


def _shown(text: str) -> str:
    """*text* without what could move about on a terminal."""
    return "".join(char if char.isprintable() else "?" for char in text)


def _report(draft: Draft, text: str) -> dict[str, object]:
    return {"config": draft.plain(), "yaml": text, "remarks": [_remark(each) for each in draft.remarks]}


def _remark(remark: Remark) -> dict[str, object]:
    file, line = remark.place
    return {"sort": remark.sort, "file": file, "line": line, "option": remark.option, "text": remark.text}
