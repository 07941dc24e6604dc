"""Things that run together: all of them or, where one does not start, none."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import ExitStack
from types import TracebackType
from typing import Self


class Together(ABC):
    """A context manager made of others. Once it has been left, it may be entered again.

    Its parts are left in the reverse order; when one of them does not start, those before it at once.
    """

    _running: ExitStack

    @abstractmethod
    def _start(self, starting: ExitStack) -> None:
        """Enter the parts, each by *starting*."""

    def __enter__(self) -> Self:
        with ExitStack() as starting:
            self._start(starting)
            self._running = starting.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.close()
