"""Where session files are put while they are recorded: one for each connection, or one for all."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any, Protocol, TextIO

from gatepost.recording.heading import heading
from gatepost.recording.language import Hand, Language

SUFFIX = ".session"
_NUMBERED = re.compile(rf"([0-9]{{1,9}}){re.escape(SUFFIX)}")


class Shelf(Protocol):
    """Gives a book for each connection. ``count`` is how many there were."""

    count: int

    def open_book(self) -> Book:
        """For a new connection. Raises OSError."""

    def close(self) -> None:
        """There are no more connections, and all books are closed."""


class Book:
    """Where one connection is written down."""

    def __init__(self, hand: Hand, text: TextIO, into: TextIO | None = None) -> None:
        self._hand = hand
        self._text = text
        self._into = into

    def write(self, events: list[Any]) -> None:
        """Take what has happened since the last time."""
        self._text.writelines(self._hand.lines(events))
        self._text.flush()

    def close(self) -> None:
        """The connection has ended, and all of it was written."""
        if self._into is not None:
            self._text.seek(0)
            shutil.copyfileobj(self._text, self._into)
            self._into.flush()
        self._text.close()


class Directory:
    """A new file for each connection, numbered on from those in *path*; the directory is made where it is missing.

    Files are open to their owner alone: they hold whole messages. Raises OSError.
    """

    def __init__(self, path: Path, comment: str, language: Language) -> None:
        self.count = 0
        self._path = path
        self._language = language
        self._comment = comment
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        numbers = [int(found[1]) for file in path.iterdir() if (found := _NUMBERED.fullmatch(file.name))]
        self._last = max(numbers, default=0)

    def open_book(self) -> Book:
        """The next file. Raises OSError."""
        self.count += 1
        self._last += 1
        text = _create(self._path / f"{self._last:04}{SUFFIX}")
        text.write(heading(self._language.version_line, self._comment))
        return Book(self._language.hand(), text)

    def close(self) -> None:
        """Nothing is open but the books."""


class File:
    """One new file for all connections, one after the other in the order in which they end. Raises OSError."""

    def __init__(self, path: Path, comment: str, language: Language) -> None:
        self.count = 0
        self._language = language
        self._text = _create(path)
        self._text.write(heading(language.version_line, comment))
        self._text.flush()

    def open_book(self) -> Book:
        """The next block of the file. Raises OSError."""
        self.count += 1
        # Connections overlap, the blocks of a file do not.
        hand = self._language.hand()
        return Book(hand, tempfile.TemporaryFile("w+", encoding="utf-8", newline="\n"), self._text)

    def close(self) -> None:
        """Close the file."""
        self._text.close()


def shelf(output: str, comment: str, language: Language) -> Shelf:
    """What *output* names: a directory where there is one, or with a final slash; else a file."""
    path = Path(output)
    kind = Directory if output.endswith("/") or path.is_dir() else File
    return kind(path, comment, language)


def _create(path: Path) -> TextIO:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    return open(descriptor, "w", encoding="utf-8", newline="\n")
