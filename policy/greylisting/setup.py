"""From the configuration to the lists, rules and store of a greylist."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from gatepost.config.errors import ConfigError, Problem
from gatepost.config.greylist_settings import Greylist
from gatepost.log import Logger
from policy.greylisting.allow import AddressList, ClientList, Line, entries
from policy.greylisting.decision import Rules
from policy.greylisting.sqlite_store import SqliteStore
from policy.greylisting.store import Store

LONGEST_FILE = 16 * 1024 * 1024
"""Octets of the longest list that is read."""


class EntryList(Protocol):
    """A list that takes entries."""

    def add(self, entry: str) -> None:
        """Add an entry. Raises ValueError."""


def rules_of(settings: Greylist) -> Rules:
    """The rules that the options make."""
    return Rules(
        delay=settings.delay,
        retry_window=settings.retry_window,
        max_age=settings.max_age,
        auto_allow=settings.auto_allow,
        auto_allow_interval=settings.auto_allow_interval,
    )


def make_store(settings: Greylist, log: Logger) -> Store:
    """The store, not opened yet. Call :func:`check_store` first."""
    if settings.store.kind == "sqlite":
        return SqliteStore(Path(settings.store.value), rules_of(settings), log)
    # Imported here because the package redis is an extra.
    from policy.greylisting.redis_store import RedisStore

    return RedisStore(settings.store.value, rules_of(settings), settings.store_timeout)


def check_store(settings: Greylist, option: str) -> None:
    """Raise ConfigError where what the store needs is not installed; *option* is the daemon's key."""
    if settings.store.kind == "redis" and importlib.util.find_spec("redis") is None:
        text = "this store needs the Python package redis, which is not installed: install gatepost[redis]"
        raise ConfigError([Problem("", 0, 0, f"{option}.store", text)])


def list_files(settings: Greylist) -> Sequence[Path]:
    """The files that the lists are read from."""
    allow = settings.allow
    return [*allow.client_files, *allow.recipient_files, *allow.sender_files]


def read_lists(settings: Greylist, option: str) -> tuple[ClientList, AddressList, AddressList]:
    """The lists of clients, recipients and senders. Raises ConfigError, with all problems at once."""
    allow = settings.allow
    problems: list[Problem] = []
    clients, recipients, senders = ClientList(), AddressList(), AddressList()
    lists: Iterable[tuple[str, EntryList, Sequence[str], Sequence[Path]]] = (
        ("client", clients, allow.clients, allow.client_files),
        ("recipient", recipients, allow.recipients, allow.recipient_files),
        ("sender", senders, allow.senders, allow.sender_files),
    )
    for kind, target, texts, files in lists:
        for number, text in enumerate(texts, start=1):
            key = f"{option}.allow.{kind}s[{number}]"
            _add(target, Line(0, text.strip()), Problem("", 0, 0, key, ""), problems)
        for number, path in enumerate(files, start=1):
            key = f"{option}.allow.{kind}_files[{number}]"
            try:
                lines = list(entries(_text(path)))
            except (OSError, ValueError) as error:
                reason = getattr(error, "strerror", None) or str(error)
                problems.append(Problem("", 0, 0, key, f"cannot read {path}: {reason}"))
                continue
            for line in lines:
                _add(target, line, Problem(str(path), line.number, 1, "", ""), problems)
    if problems:
        raise ConfigError(problems)
    return clients, recipients, senders


def _add(target: EntryList, line: Line, at: Problem, problems: list[Problem]) -> None:
    try:
        target.add(line.text)
    except ValueError as error:
        problems.append(at._replace(text=str(error)))


def _text(path: Path) -> str:
    """Raises OSError or ValueError."""
    with path.open("rb") as file:
        data = file.read(LONGEST_FILE + 1)
    if len(data) > LONGEST_FILE:
        raise ValueError(f"longer than {LONGEST_FILE // 1024**2} MB")
    # Comments of older lists are in other character sets; entries are ASCII or say so by failing.
    return data.decode("utf-8", "replace")
