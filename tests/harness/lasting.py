"""What lasts as long as a ``with``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Self


class Startable(ABC):
    """Runs while the ``with`` lasts."""

    @abstractmethod
    def start(self) -> Self:
        """Begin; afterwards it is ready."""

    @abstractmethod
    def stop(self) -> object:
        """End."""

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


class Closeable(ABC):
    """Is there from the beginning, and closed when the ``with`` is left."""

    @abstractmethod
    def close(self) -> None:
        """Let go of it."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
