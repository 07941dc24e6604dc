"""The run as one HTML page with charts, complete in itself: no script, no font and no picture from elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from html import escape

from bench import svg, table
from bench.result import COLUMNS, Kind, Result, Run, duration, megabytes, rate

_STYLE = """\
body { font: 15px/1.5 system-ui, sans-serif; color: #22282c; background: #fff; max-width: 1100px;
  margin: 2em auto; padding: 0 1em; }
h1 { font-size: 1.5em; } h2 { font-size: 1.2em; margin-top: 2.2em; border-bottom: 1px solid #dfe3e6; }
h3 { font-size: 1em; margin-bottom: .3em; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(420px, 1fr)); gap: 0 2em; }
svg { max-width: 100%; height: auto; } svg text { font: 12px system-ui, sans-serif; fill: #22282c; }
table { border-collapse: collapse; font-size: 13px; margin: 1em 0; }
td, th { padding: .2em .8em .2em 0; text-align: right; border-bottom: 1px solid #eceff1; font-weight: 400; }
th { color: #5c666d; } td:nth-child(-n+2), th:nth-child(-n+2) { text-align: left; }
.short { color: #a02c1c; } .met { color: #2c7a4b; } .note, dl { color: #5c666d; font-size: 13px; }
dt { float: left; clear: left; width: 14em; } dd { margin-left: 14em; }
"""


def html(run: Run) -> str:
    """The page."""
    body = [
        "<h1>gatepost beside its peers</h1>",
        f'<p class="note">{escape(_circumstances(run))}</p>',
    ]
    for kind, results in table.by_kind(run.results):
        body.append(f"<h2>{escape(table.TITLES[kind])}</h2>")
        body += ['<div class="charts">', *_charts(kind, results), "</div>"]
        body.append(_table(kind, results))
        body += [f'<p class="note">{escape(result.note)}</p>' for result in results if result.note]
    body.append("<h2>The machine</h2><dl>")
    body += [f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in run.machine.items()]
    body.append("</dl>")
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>gatepost: performance</title>\n'
        f"<style>\n{_STYLE}</style></head><body>\n" + "\n".join(body) + "\n</body></html>\n"
    )


def _circumstances(run: Run) -> str:
    told = f"Measured in {run.seconds / 60:.0f} minutes, all daemons in turns on one machine."
    return f"{told} A quick run: these figures are not to be quoted." if run.quick else told


def _charts(kind: Kind, results: Sequence[Result]) -> Iterator[str]:
    if kind == "throughput":
        for heading, key, write in (
            ("Per second, 8 clients (longer is better)", "rate", rate),
            ("Half of all take at most, 8 clients (shorter is better)", "p50", duration),
            ("99 of 100 take at most, 8 clients (shorter is better)", "p99", duration),
            ("Half of all take at most, 1 client (shorter is better)", "p50_alone", duration),
        ):
            yield from _bars(heading, results, key, write)
    elif kind == "growth":
        for result in results:
            for key, unit, write in (("rate", "per second", rate), ("p50", "p50", duration)):
                chart = svg.lines(_series(result, key), result.axis, _count, write)
                yield f"<div><h3>{escape(result.title)}: {unit}</h3>{chart}</div>"
    elif kind == "memory":
        for heading, key in (
            ("Idle", "idle"),
            ("100 clients with 1 MB each", "small"),
            ("with 10 MB each", "large"),
        ):
            yield from _bars(heading, results, key, megabytes)
    elif kind == "slow":
        yield from _bars("p50 without slow messages", results, "p50_before", duration)
        yield from _bars("p50 beside slow messages", results, "p50", duration)
    elif kind == "latency":
        yield from _bars("Added to a mail (shorter is better)", results, "further_added", duration)
    else:
        yield from _bars(
            "Times the floor (shorter is better)", results, "ratio", lambda value: f"{value:.2f}x"
        )


def _bars(heading: str, results: Sequence[Result], key: str, write: Callable[[float], str]) -> Iterator[str]:
    groups = [
        (
            result.title,
            [(row["daemon"], max(0.0, row[key])) for row in result.rows if row.get(key) is not None],
        )
        for result in results
    ]
    chart = svg.bars([group for group in groups if group[1]], write)
    yield f"<div><h3>{escape(heading)}</h3>{chart}</div>"


def _series(result: Result, key: str) -> dict[str, list[tuple[float, float]]]:
    """The points by daemon, ours first."""
    found: dict[str, list[tuple[float, float]]] = {}
    for row in sorted(result.rows, key=lambda row: (not row["daemon"].startswith("gatepost"), row["x"])):
        if row[key] > 0:
            found.setdefault(row["daemon"], []).append((row["x"], row[key]))
    return found


def _count(value: float) -> str:
    """A number of octets, clients or workers, shortly."""
    for unit, size in (("M", 1024 * 1024), ("k", 1024)):
        if value >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"


def _table(kind: Kind, results: Sequence[Result]) -> str:
    heads = "".join(f"<th>{escape(column.heading)}</th>" for column in COLUMNS[kind])
    lines = [f"<table><tr><th></th>{heads}</tr>"]
    for result in results:
        title = result.title
        for row in result.rows:
            met = _met(kind, row.get("target"), row)
            cells = "".join(
                f"<td{met if column.key == 'ratio' else ''}>{escape(column.text(row))}</td>"
                for column in COLUMNS[kind]
            )
            lines.append(f"<tr><td>{escape(title)}</td>{cells}</tr>")
            title = ""
        for daemon, reason in result.missing.items():
            span = len(COLUMNS[kind]) - 1
            lines.append(
                f'<tr><td>{escape(title)}</td><td>{escape(daemon)}</td><td colspan="{span}">{escape(reason)}</td></tr>'
            )
            title = ""
    return "\n".join([*lines, "</table>"])


def _met(kind: Kind, target: float | None, row: object) -> str:
    """The class of a ratio that has a target."""
    if kind != "throughput" or target is None or not isinstance(row, dict):
        return ""
    return ' class="met"' if row["ratio"] >= target else ' class="short"'
