"""Charts as SVG, drawn without any library: bars beside each other, and lines over a logarithmic axis."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape

WIDTH = 640
_LABEL, _RIGHT, _ROW, _GAP = 170, 90, 22, 12
_HEIGHT, _TOP, _BOTTOM, _LEFT = 260, 14, 46, 70

_OURS_COLOUR = "#1f6f8b"
_COLOURS = ("#c8553d", "#8a8d91", "#d8a03d", "#5b8e7d", "#7d6b91")

Write = Callable[[float], str]
Series = Mapping[str, Sequence[tuple[float, float]]]


def bars(groups: Sequence[tuple[str, Sequence[tuple[str, float]]]], write: Write) -> str:
    """Groups of bars, each group with a scale of its own: (title, (name, value) …) …; *write* labels a value."""
    parts: list[str] = []
    colours = _colours(name for _, members in groups for name, _ in members)
    y = 0
    for title, members in groups:
        top = max((value for _, value in members), default=0) or 1
        parts.append(_text(0, y + 15, title, weight="600"))
        y += _ROW
        for name, value in members:
            width = max(1.0, (WIDTH - _LABEL - _RIGHT) * value / top)
            parts.append(_text(_LABEL - 8, y + 15, name, anchor="end"))
            parts.append(
                f'<rect x="{_LABEL}" y="{y + 3}" width="{width:.1f}" height="{_ROW - 6}" fill="{colours[name]}"/>'
            )
            parts.append(_text(_LABEL + width + 6, y + 15, write(value)))
            y += _ROW
        y += _GAP
    return _svg(y, parts)


def lines(series: Series, axis: str, write_x: Write, write_y: Write) -> str:
    """Lines through points, both axes logarithmic; *axis* says what the lower one is."""
    points = [point for some in series.values() for point in some]
    if not points:
        return ""
    x_of = _scale([x for x, _ in points], _LEFT, WIDTH - 20)
    y_of = _scale([y for _, y in points], _HEIGHT - _BOTTOM, _TOP, whole=True)
    parts = [_text(_LEFT, _HEIGHT - 6, axis)]
    for x in sorted({x for x, _ in points}):
        parts.append(_line(x_of(x), _TOP, x_of(x), _HEIGHT - _BOTTOM, "#eceff1"))
        parts.append(_text(x_of(x), _HEIGHT - _BOTTOM + 16, write_x(x), anchor="middle"))
    for y in _decades([y for _, y in points]):
        parts.append(_line(_LEFT, y_of(y), WIDTH - 20, y_of(y), "#dfe3e6"))
        parts.append(_text(_LEFT - 6, y_of(y) + 4, write_y(y), anchor="end"))
    colours = _colours(series)
    for number, (name, some) in enumerate(series.items()):
        colour = colours[name]
        path = " ".join(f"{x_of(x):.1f},{y_of(y):.1f}" for x, y in some)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x_of(x):.1f}" cy="{y_of(y):.1f}" r="3" fill="{colour}"/>' for x, y in some]
        place = WIDTH - 20 - 150 * (len(series) - number)
        parts.append(f'<rect x="{place}" y="{_HEIGHT - 15}" width="10" height="10" fill="{colour}"/>')
        parts.append(_text(place + 15, _HEIGHT - 6, name))
    return _svg(_HEIGHT, parts)


def _colours(names: Iterable[str]) -> dict[str, str]:
    """A colour for each name: one for all of ours, others for the others."""
    others: dict[str, str] = {}
    found = {}
    for name in names:
        if name.startswith("gatepost"):
            found[name] = _OURS_COLOUR
        else:
            found[name] = others.setdefault(name, _COLOURS[len(others) % len(_COLOURS)])
    return found


def _scale(
    values: Sequence[float], first: float, last: float, *, whole: bool = False
) -> Callable[[float], float]:
    """Where a value stands on a logarithmic axis; *whole* begins and ends it at powers of ten."""
    low, high = math.log10(min(values)), math.log10(max(values))
    if whole:
        low, high = math.floor(low), math.ceil(high)
    span = (high - low) or 1.0
    return lambda value: first + (math.log10(value) - low) / span * (last - first)


def _decades(values: Sequence[float]) -> list[float]:
    """The powers of ten from below the least value to above the greatest."""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return [10.0**power for power in range(low, max(high, low + 1) + 1)]


def _line(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>'


def _text(x: float, y: float, text: str, *, anchor: str = "start", weight: str = "400") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}">{escape(text)}</text>'
    )


def _svg(height: float, parts: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}" height="{height:.0f}" role="img">'
        f"{''.join(parts)}</svg>"
    )
