"""What a replay finds: the connections on which something is said differently now."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import NamedTuple, TypeVar

PATIENCE = 30.0
"""Seconds that an answer may take."""

_Connection = TypeVar("_Connection")


class Difference(NamedTuple):
    """What is different on the *connection*-th connection of a recording (from 1), line by line."""

    connection: int
    lines: list[str]


async def compare_each(
    connections: Iterable[_Connection], play: Callable[[_Connection], Awaitable[list[str]]]
) -> list[Difference]:
    """*play* all connections, one after the other; what it gives of each is different there, if anything."""
    found = []
    for number, connection in enumerate(connections, start=1):
        lines = await play(connection)
        if lines:
            found.append(Difference(number, lines))
    return found
