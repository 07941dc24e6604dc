"""Measures gatepost side by side with its peers. See docs/performance.md."""

from __future__ import annotations

import argparse
import fnmatch
import sys
from collections.abc import Sequence

from bench import rounds, table
from bench.case import Case
from bench.cases import cases
from bench.load import LoadError
from bench.world import MissingError, World


def chosen(among: Sequence[Case], patterns: Sequence[str]) -> list[Case]:
    """The cases that the patterns name (``verify-*``), all where there is none. Raises SystemExit."""
    unknown = [each for each in patterns if not fnmatch.filter([case.name for case in among], each)]
    if unknown:
        raise SystemExit(f"bench: no case {', '.join(unknown)}: see --list")
    return [
        case for case in among if not patterns or any(fnmatch.fnmatch(case.name, each) for each in patterns)
    ]


def main() -> int:
    """Run what is asked for; the exit status is 1 where a case could not be measured."""
    parser = argparse.ArgumentParser(prog="script/bench", description=__doc__)
    parser.add_argument(
        "cases", nargs="*", metavar="NAME", help="a case, or a pattern such as 'verify-*'; all"
    )
    parser.add_argument("--quick", action="store_true", help="each case in some seconds; for trying things")
    parser.add_argument("--list", action="store_true", help="tell which cases there are")
    options = parser.parse_args()
    wanted = chosen(cases(), options.cases)
    if options.list:
        for case in wanted:
            print(f"{case.name:20} {case.title}")
        return 0
    pace = rounds.QUICK if options.quick else rounds.USUAL
    outcomes, status = [], 0
    try:
        with World() as world:
            for case in wanted:
                try:
                    outcomes.append(rounds.play(case, world, pace, _tell))
                except (LoadError, OSError, RuntimeError, TimeoutError) as error:
                    _tell(f"{case.name}: failed: {error}")
                    status = 1
    except MissingError as error:
        _tell(f"cannot be measured here: {error}")
        return 1
    except KeyboardInterrupt:
        _tell("interrupted: what has been measured so far:")
        status = 130
    print("\n".join(table.lines(outcomes)))
    return status


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
