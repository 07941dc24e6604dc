"""Measures gatepost side by side with its peers. See docs/performance.md."""

from __future__ import annotations

import argparse
import fnmatch
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from bench import report, table
from bench.everything import measurements
from bench.load import LoadError
from bench.machine import description
from bench.measurement import QUICK, USUAL, Measurement, Pace
from bench.missing import MissingError
from bench.page import fill
from bench.result import Result, Run
from bench.world import World
from tests.harness.milter_client import ClientError

ROOT = Path(__file__).parents[1]
INTERRUPTED = 130
PAGE = ROOT / "docs" / "performance.md"


def chosen(among: Sequence[Measurement], patterns: Sequence[str]) -> list[Measurement]:
    """Those that the patterns name (``verify-*``), all where there is none. Raises SystemExit."""
    names = [each.name for each in among]
    unknown = [pattern for pattern in patterns if not fnmatch.filter(names, pattern)]
    if unknown:
        raise SystemExit(f"bench: nothing is called {', '.join(unknown)}: see --list")
    return [
        each for each in among if not patterns or any(fnmatch.fnmatch(each.name, one) for one in patterns)
    ]


def measured(wanted: Sequence[Measurement], pace: Pace) -> tuple[list[Result], int]:
    """The results, as far as it goes, and the exit status."""
    results: list[Result] = []
    status = 0
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with World() as world:
            for each in wanted:
                try:
                    results.append(each.run(world, pace, _tell))
                except MissingError as reason:
                    _tell(f"{each.name}: cannot be measured here: {reason}")
                    status = 1
                except (LoadError, ClientError, OSError, RuntimeError) as error:
                    _tell(f"{each.name}: failed: {error}")
                    status = 1
    except MissingError as reason:
        _tell(f"nothing can be measured here: {reason}")
        status = 1
    except KeyboardInterrupt:
        _tell("interrupted")
        status = INTERRUPTED
    return results, status


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main() -> int:
    """Measure what is asked for; the exit status is 1 where something could not be measured."""
    parser = argparse.ArgumentParser(prog="script/bench", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="what to measure ('verify-*' is a pattern); all"
    )
    parser.add_argument(
        "--quick", action="store_true", help="some seconds each, to try things: no figures to quote"
    )
    parser.add_argument("--list", action="store_true", help="tell what can be measured")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "bench", metavar="DIRECTORY",
                        help="where bench.json and report.html go; build/bench")  # fmt: skip
    parser.add_argument("--docs", action="store_true",
                        help="measure nothing: put the figures of bench.json into docs/performance.md")  # fmt: skip
    options = parser.parse_args()
    if options.docs:
        PAGE.write_text(fill(PAGE.read_text(), Run.read(options.out / "bench.json")))
        return 0
    wanted = chosen(measurements(), options.names)
    if options.list:
        for each in wanted:
            print(f"{each.name:24} {each.title}")
        return 0
    pace = QUICK if options.quick else USUAL
    began = time.monotonic()
    minutes = sum(each.estimate(pace) for each in wanted) / 60
    _tell(f"about {minutes:.0f} minutes" if minutes > 1 else "about a minute")
    results, status = measured(wanted, pace)
    run = Run(description(), options.quick, time.monotonic() - began, results)
    print("\n".join(table.text(results)))
    if results and status != INTERRUPTED:  # half a run does not replace a whole one
        options.out.mkdir(parents=True, exist_ok=True)
        run.write(options.out / "bench.json")
        (options.out / "report.html").write_text(report.html(run))
        _tell(f"written: {options.out / 'bench.json'}, {options.out / 'report.html'}")
    return status


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
