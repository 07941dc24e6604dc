"""Work that begins when it is awaited, and costs nothing if it never is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Later(Generic[T]):
    """Awaits what *begin* gives, once it is awaited itself.

    A coroutine that is made and never awaited draws a warning from Python;
    that happens whenever a message goes away before its turn.
    """

    __slots__ = ("_begin",)

    def __init__(self, begin: Callable[[], Awaitable[T]]) -> None:
        self._begin = begin

    def __await__(self) -> Generator[Any, Any, T]:
        return self._begin().__await__()
