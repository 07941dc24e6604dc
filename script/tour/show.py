"""How the tour looks in a terminal: narrow, calm, and in colour only where somebody watches."""

from __future__ import annotations

import os
import re
import shutil
import sys
import textwrap
from collections.abc import Sequence

from tests.harness.delivery import Delivery

_SHOWN = ("X-Greylist", "Authentication-Results", "DKIM-Signature", "From", "Subject")
_LONG_VALUE = re.compile(r"\b(b|bh)=([A-Za-z0-9+/]{10})[A-Za-z0-9+/=\s]+")
_LONG_LIST = re.compile(r"\bh=([^;]{24}[^;:]*:)[^;]{12,}")
_INDENT = "      "


class Screen:
    """Writes to standard output."""

    def __init__(self) -> None:
        self._colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        self._width = max(60, min(shutil.get_terminal_size().columns, 110))

    def _paint(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._colour else text

    def line(self, text: str = "") -> None:
        """One line as it is, at once."""
        print(text, flush=True)

    def heading(self, text: str) -> None:
        """The title of a section."""
        self.line()
        self.line(self._paint(text, "1"))

    def note(self, text: str) -> None:
        """A sentence or two, wrapped."""
        self.line(textwrap.fill(text, self._width, initial_indent="    ", subsequent_indent="    "))

    def header(self, delivery: Delivery) -> None:
        """The fields of a mail that matter here, from the top, what is long in a signature cut short."""
        for name in _SHOWN:
            for value in delivery.values(name):
                value = _LONG_VALUE.sub(r"\1=\2…", " ".join(value.split()))
                value = _LONG_LIST.sub(r"h=\1…", value)
                text = textwrap.fill(
                    f"{name}: {value}",
                    self._width,
                    initial_indent=_INDENT,
                    subsequent_indent=f"{_INDENT}    ",
                    break_on_hyphens=False,
                )
                self.line(self._paint(text, "2"))

    def verdict(self, text: str, right: bool) -> None:
        """The one line that says it in plain words."""
        mark = self._paint("✓", "32") if right else self._paint("✗", "31;1")
        self.line(f"  {mark} {text}")

    def table(self, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table, columns as wide as their longest cell; a last cell "NO" stands out."""
        widths = [max(len(row[column]) for row in (heads, *rows)) for column in range(len(heads))]

        def laid_out(row: Sequence[str]) -> str:
            return "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()

        self.line(self._paint(laid_out(heads), "1"))
        for row in rows:
            text = laid_out(row)
            self.line(self._paint(text, "31;1") if row[-1] == "NO" else text)
