"""docs/performance.md: its tables, from a run's figures."""

from __future__ import annotations

from bench import table
from bench.result import Run

BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"


def fill(page: str, run: Run) -> str:
    """The page with the run's tables between its two marks. Raises ValueError where they are not there."""
    return put(page, figures(run))


def put(page: str, text: str) -> str:
    """The page with *text* between its two marks. Raises ValueError where they are not there."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"no {BEGIN} … {END} in the page")
    return f"{before}{BEGIN}\n\n{text}\n{END}{after}"


def figures(run: Run) -> str:
    """The machine, and the tables."""
    machine = dict(run.machine)
    date, processor = machine.pop("date", "?"), machine.pop("processor", "?")
    versions = ", ".join(f"{name} {version}" for name, version in machine.items())
    lines = [f"Measured on {date}: {processor}; {versions}.", "", *table.markdown(run.results)]
    if run.quick:
        lines.insert(0, "These are the figures of a quick run: not to be quoted.\n")
    return "\n".join(lines)
