"""OpenDKIM's data sets, as far as they are text: ``file:``, ``refile:`` and ``csl:``."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

_UNSUPPORTED = {
    "db": "a Berkeley database",
    "dsn": "an SQL database",
    "ldap": "an LDAP directory",
    "ldaps": "an LDAP directory",
    "ldapi": "an LDAP directory",
    "lua": "a Lua script",
    "memcache": "a memcached server",
    "erlang": "an Erlang node",
    "mdb": "an LMDB database",
}


class Kind(StrEnum):
    """How the keys of a data set are read."""

    FILE = "file"
    """Lines of a file; each key is just itself."""
    REFILE = "refile"
    """Lines of a file; ``*`` in a key stands for any text."""
    LIST = "csl"
    """``key=value`` with commas between, in place of a file."""


class Dataset(NamedTuple):
    """Where the rows of a table are: ``where`` is the path, or the list itself."""

    kind: Kind
    where: str

    @property
    def path(self) -> Path | None:
        """The file; None for a list."""
        return None if self.kind is Kind.LIST else Path(self.where)


class Row(NamedTuple):
    """One row: its line, counted from 1 (0 in a list), its key and its value, which may be empty."""

    line: int
    key: str
    value: str


def parse_dataset(text: str) -> Dataset:
    """Read the name of a data set. Without a prefix it is a file.

    Raises ValueError, with one line, for the types that are not supported.
    """
    prefix, colon, rest = text.strip().partition(":")
    name = prefix.lower()
    if colon and name in _UNSUPPORTED:
        raise ValueError(
            f"{name}: ({_UNSUPPORTED[name]}) is not supported: write the rows to a text file and name that"
        )
    if colon and name in set(Kind):
        kind, where = Kind(name), rest.strip()
    else:
        kind, where = Kind.FILE, text.strip()
    if kind is not Kind.LIST and where.endswith(".db"):
        raise ValueError(
            "a Berkeley database (.db) is not supported: write the rows to a text file and name that"
        )
    if not where:
        raise ValueError("a file name is missing, such as refile:/etc/opendkim/SigningTable")
    return Dataset(kind, where)


def parse_lines(text: str) -> Iterator[Row]:
    """The rows of a file: a key, white space, a value. ``#`` starts a comment; empty lines do not count."""
    for number, line in enumerate(text.split("\n"), 1):
        words = line.partition("#")[0].split(None, 1)
        if words:
            yield Row(number, words[0], words[1].rstrip() if len(words) > 1 else "")


def parse_list(text: str) -> Iterator[Row]:
    """The rows of a comma-separated list: ``key=value`` each."""
    for element in text.split(","):
        key, _, value = element.strip().partition("=")
        if key:
            yield Row(0, key.strip(), value.strip())


def rows(dataset: Dataset, text: str) -> Iterator[Row]:
    """The rows of *dataset*, whose file holds *text*."""
    return parse_list(dataset.where) if dataset.kind is Kind.LIST else parse_lines(text)
