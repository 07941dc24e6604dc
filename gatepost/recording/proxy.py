"""Stands between an MTA and a daemon, passes on every octet, and takes down what is said."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from gatepost.recording.events import End, Side
from gatepost.recording.language import Language
from gatepost.recording.wire import Address, Wire

_MOST_HELD = 32 * 1024 * 1024


class Book(Protocol):
    """Where one connection is written down. Both methods may raise OSError."""

    def write(self, events: list[Any]) -> None:
        """Take what has happened since the last time."""

    def close(self) -> None:
        """The connection has ended, and all of it was written."""


class Proxy:
    """Serves the MTA's connections. ``open_book`` is called for each; ``complain`` with what went wrong.

    What is said is passed on before it is looked at, and is passed on whether
    it can be written down or not. Events are written after each message and at
    the end of the connection.
    """

    def __init__(
        self,
        daemon: Address,
        open_book: Callable[[], Book],
        complain: Callable[[str], None],
        language: Language,
    ) -> None:
        self._daemon = daemon
        self._language = language
        self._open_book = open_book
        self._complain = complain
        self._serving: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of an MTA, from its beginning to its end. For ``asyncio.start_server``."""
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        try:
            await self._serve(Wire(reader, writer))
        except asyncio.CancelledError:
            pass  # by stop(), which is waiting for us
        finally:
            self._serving.discard(task)

    async def stop(self) -> None:
        """End all connections where they stand; what was said on them is written down."""
        serving = list(self._serving)
        for task in serving:
            task.cancel()
        if serving:
            await asyncio.wait(serving)

    async def _serve(self, mta: Wire) -> None:
        try:
            daemon = await Wire.connect(self._daemon)
        except OSError as error:
            self._complain(f"the daemon cannot be reached: {error.strerror or error}")
            await mta.leave(End.CLOSE)
            return
        line = _Line(self._language, self._open_book, self._complain)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(line.carry(Side.MTA, mta, daemon))
                both.create_task(line.carry(Side.DAEMON, daemon, mta))
        finally:
            line.end()
            await mta.leave(End.CLOSE)
            await daemon.leave(End.CLOSE)


class _Line:
    """One connection and its book. Where that cannot be written, the connection goes on without."""

    def __init__(
        self, language: Language, open_book: Callable[[], Book], complain: Callable[[str], None]
    ) -> None:
        self._tap = language.ear()
        self._complain = complain
        self._held = 0
        self._book: Book | None = None
        try:
            self._book = open_book()
        except OSError as error:
            self._lose(error)

    async def carry(self, side: Side, source: Wire, sink: Wire) -> None:
        """Pass on what *side* says until it leaves, and tell the other by leaving in the same way."""
        while not isinstance(data := await source.read(), End):
            sink.write(data)
            if self._book is not None and self._tap.left is None:
                self._listen(side, data)
            await sink.drain()
        self._tap.leave(side, data)
        if data is End.CLOSE and side is Side.MTA:
            # An answer may still be on its way.
            sink.finish()
        else:
            await sink.leave(data)

    def end(self) -> None:
        """All is said: write down what is left."""
        self._flush()
        if self._book is not None:
            try:
                self._book.close()
            except OSError as error:
                self._lose(error)

    def _listen(self, side: Side, data: bytes) -> None:
        self._tap.read(side, data)
        self._held += len(data)
        if self._tap.between_messages or self._held > _MOST_HELD:
            self._flush()

    def _flush(self) -> None:
        events, self._tap.events = self._tap.events, []
        self._held = 0
        if self._book is not None:
            try:
                self._book.write(events)
            except OSError as error:
                self._lose(error)

    def _lose(self, error: OSError) -> None:
        self._book = None
        self._complain(f"cannot record: {error.strerror}: the connection goes on, and nothing of it is kept")
