"""A policy service on standard input and output, as Postfix's spawn(8) starts one: a process for each connection.

There is no supervisor, no socket and no metrics address; the process ends with
its input. spawn(8) makes standard error the same connection as standard output,
so nothing but answers may go there.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import uvloop

from gatepost.log import Logger, syslog
from policy.dialogue import Dialogue
from policy.terms import Terms

_PIECE = 64 * 1024


@dataclass(frozen=True, slots=True)
class Streams:
    """Where requests come from and answers go to, as descriptors of our own."""

    source: int
    sink: int

    @classmethod
    def take(cls) -> Self:
        """Take standard input and output for the protocol alone: whatever else reads or prints does not meet it."""
        streams = cls(os.dup(0), os.dup(1))
        for descriptor in (streams.source, streams.sink):
            os.set_blocking(descriptor, True)
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, 0)
        if os.path.sameopenfile(2, streams.sink):
            os.dup2(nothing, 2)
        os.dup2(2, 1)
        os.close(nothing)
        return streams

    def close(self) -> None:
        """Close both."""
        os.close(self.source)
        os.close(self.sink)


def logger(daemon: str, path: Path = syslog.SOCKET) -> Logger:
    """The log: syslog where there is one and nobody watches standard error, else standard error."""
    if not sys.stderr.isatty() and path.is_socket():
        with suppress(OSError):
            return syslog.SyslogLogger(daemon, path)
    return Logger(daemon=daemon)


def run(make: Callable[[], Terms], streams: Streams) -> None:
    """Serve the one connection until its end, or until a signal to stop and the answer then under way.

    *make* makes the handler and its terms, with the event loop running.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(make, streams))


async def _serve(make: Callable[[], Terms], streams: Streams) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    terms = make()
    try:
        # The peer is gone before its answer: there is nobody to tell.
        with suppress(BrokenPipeError, ConnectionResetError):
            await _converse(terms, _Input(streams.source, stop), streams.sink)
    finally:
        await terms.handler.close()


async def _converse(terms: Terms, source: _Input, sink: int) -> None:
    dialogue = Dialogue(terms)
    limits = terms.limits
    while data := await source.read(limits.partial_timeout if dialogue.partial else limits.idle_timeout):
        _write(sink, dialogue.feed(data))
        while dialogue.pending is not None:
            answer = asyncio.ensure_future(dialogue.pending)
            await asyncio.wait({answer}, timeout=limits.answer_timeout)
            action: str | None = None
            error: BaseException | None = None
            if not answer.done():
                answer.cancel()
                error = TimeoutError(f"no answer after {limits.answer_timeout:g} s")
            elif answer.cancelled():
                error = RuntimeError("what was waited for was cancelled")
            elif (error := answer.exception()) is None:
                action = answer.result()
            _write(sink, dialogue.resume(action, error))
        if dialogue.fault is not None:
            terms.log.event("info", "not the policy protocol", error=str(dialogue.fault))
            return


def _write(sink: int, data: bytes) -> None:
    while data:
        data = data[os.write(sink, data) :]


class _Input:
    """A descriptor that is read in a thread: it may be a file, which no event loop can wait for.

    The thread reads no further before what it has read is taken.
    """

    def __init__(self, descriptor: int, stop: asyncio.Event) -> None:
        self._descriptor = descriptor
        self._stop = stop
        self._loop = asyncio.get_running_loop()
        self._pieces: asyncio.Queue[bytes] = asyncio.Queue()
        self._taken = threading.Semaphore()
        threading.Thread(target=self._fetch, daemon=True).start()

    def _fetch(self) -> None:
        data = b"?"
        while data:
            self._taken.acquire()
            try:
                data = os.read(self._descriptor, _PIECE)
            except OSError:
                data = b""
            try:
                self._loop.call_soon_threadsafe(self._pieces.put_nowait, data)
            except RuntimeError:
                return  # the event loop has ended

    async def read(self, patience: float) -> bytes:
        """What comes next; b"" at the end, when told to stop, or after *patience* seconds of silence."""
        if self._stop.is_set():
            return b""
        piece = asyncio.ensure_future(self._pieces.get())
        stopped = asyncio.ensure_future(self._stop.wait())
        _, pending = await asyncio.wait(
            {piece, stopped}, timeout=patience, return_when=asyncio.FIRST_COMPLETED
        )
        for each in pending:
            each.cancel()
        if piece in pending:
            return b""
        self._taken.release()
        return piece.result()
