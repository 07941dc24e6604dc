"""Reading the files of other daemons, whatever is in them."""

from __future__ import annotations

from gatepost.importing.source import UnreadableError

LARGEST = 16 * 1024 * 1024
"""Octets of the largest file that is read."""


def read_file(path: str) -> str:
    """The text of the file at *path*: UTF-8, or else Latin-1. Raises UnreadableError."""
    try:
        with open(path, "rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise UnreadableError(f"cannot be read: {error.strerror}") from None
    except ValueError:
        raise UnreadableError("is not the name of a file") from None
    if len(data) > LARGEST:
        raise UnreadableError("is too large to be a configuration")
    if b"\0" in data:
        raise UnreadableError("is not a text file")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")
