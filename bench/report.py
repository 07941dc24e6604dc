"""The run as one HTML page with charts, complete in itself."""

from __future__ import annotations

from bench.result import Run


def html(run: Run) -> str:
    """The page."""
    return ""
