"""Run a soak and print its books; what script/soak starts."""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.harness.postfix import unavailable
from tests.soak.run import Plan, Report, Soak

_OUTCOMES = ("delivered", "refused", "put off at first", "result lost on the way, and known to be")
_KEPT = (".log", ".yaml", ".txt")


def main() -> int:
    """0 when every mail is accounted for and nothing grew; 1 when not; 2 where it cannot run."""
    parser = argparse.ArgumentParser(
        prog="script/soak",
        description="Mail through a whole server whose parts fail one after the other; then the books are checked.",
        epilog="Exit status: 0 all is accounted for, 1 not, 2 it cannot run here.",
    )
    parser.add_argument("--minutes", type=float, default=60.0, help="how long mail is sent (60)")
    parser.add_argument("--seed", type=int, default=1, help="which faults come when, and which mails (1)")
    parser.add_argument("--rate", type=float, default=5.0, help="new mails a second (5)")
    parser.add_argument("--keep", type=Path, help="keep all logs in this directory, whatever comes of it")
    arguments = parser.parse_args()
    if reason := unavailable():
        sys.stderr.write(f"script/soak: {reason}\n")
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what was started is stopped
    teller = Teller()
    with tempfile.TemporaryDirectory(prefix="gatepost-soak-") as place:
        directory = Path(place)
        plan = Plan(arguments.minutes * 60, arguments.seed, arguments.rate)
        try:
            report = Soak(plan, directory, teller.tell).run()
        except BaseException:
            sys.stderr.write(f"logs: {_keep(directory, arguments.keep)}\n")
            raise
        sys.stdout.write("\n".join(lines(report)) + "\n")
        if report.problems or arguments.keep:
            sys.stdout.write(f"logs: {_keep(directory, arguments.keep)}\n")
    return 1 if report.problems else 0


class Teller:
    """Prints a line a minute, and at once where the discrepancies have changed."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._due = 0.0
        self._seen = ""

    def tell(self, text: str) -> None:
        """Something has happened."""
        discrepancies = text.partition(" discrepancies=")[2].partition(" ")[0]
        now = time.monotonic() - self._began
        if now < self._due and discrepancies == self._seen:
            return
        self._seen = discrepancies
        self._due = now + 60
        sys.stdout.write(f"{now / 60:6.1f} min  {text}\n")
        sys.stdout.flush()


def _keep(directory: Path, wanted: Path | None) -> Path:
    place = wanted or Path(tempfile.mkdtemp(prefix="gatepost-soak-kept-"))
    place.mkdir(parents=True, exist_ok=True)
    for file in directory.iterdir():
        if file.suffix in _KEPT:
            shutil.copy(file, place)
    return place


def lines(report: Report) -> Iterator[str]:
    """The books, the faults, and what the daemons took, as they are printed."""
    yield f"\n{'mail':24}{'delivered':>10}{'refused':>10}{'put off':>10}{'unsealed':>10}"
    for kind, outcomes in sorted(report.books.outcomes.items()):
        yield f"{kind:24}" + "".join(f"{outcomes[column]:10}" for column in _OUTCOMES)
    yield f"{'all':24}{report.books.sent:10} sent\n"
    for name, count in sorted(report.faults.done.items()):
        yield f"{name:44}{count:4}"
    yield f"\n{'daemon':16}{'MB, quiet':>12}{'at the end':>12}{'descriptors':>14}{'at the end':>12}"
    for name, (first, last) in report.memory.items():
        begin, end = report.descriptors[name]
        memory = f"{first.memory / 2**20:12.1f}{last.memory / 2**20:12.1f}"
        yield f"{name:16}{memory}{begin.descriptors:14}{end.descriptors:12}"
    yield "\nput off with:"
    for text, count in report.books.put_off.most_common(20):
        yield f"{count:7}  {text}"
    yield "\nerrors and warnings of the daemons:"
    for text, count in report.warnings.most_common(40):
        yield f"{count:7}  {text}"
    yield ""
    yield from (f"PROBLEM: {problem}" for problem in report.problems[:50])
    yield f"{len(report.problems)} problems"


if __name__ == "__main__":
    sys.exit(main())
