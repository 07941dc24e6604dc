"""docs/performance.md: its tables, from a run's figures."""

from __future__ import annotations

from collections.abc import Mapping

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
    lines = [measured(run.machine), "", *table.markdown(run.results)]
    if run.quick:
        lines.insert(0, "These are the figures of a quick run: not to be quoted.\n")
    return "\n".join(lines)


def measured(machine: Mapping[str, str]) -> str:
    """When, where and what, as :func:`bench.machine.description` tells it, in a sentence."""
    versions = dict(machine)
    date, processor = versions.pop("date", "?"), versions.pop("processor", "?")
    told = ", ".join(f"{name} {version}" for name, version in versions.items())
    return f"Measured on {date}: {processor}; {told}."
