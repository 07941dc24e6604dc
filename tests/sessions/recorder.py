"""Daemons with a proxy before each, which takes down what the MTA and they say; and the loop in which they run."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from typing import Any, TypeVar

from gatepost.cli.replay import running
from gatepost.recording.language import Language
from gatepost.recording.proxy import Proxy
from milters.assembly import MilterDaemon
from policy.assembly import PolicyDaemon
from tests.harness.ports import LOOPBACK
from tests.harness.together import Together
from tests.harness.waiting import PATIENCE

T = TypeVar("T")


class Pages:
    """One connection while it is recorded: its events as the daemon's protocol has them, until it is ``closed``."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.closed = False

    def write(self, events: list[Any]) -> None:
        self.events += events

    def close(self) -> None:
        self.closed = True


class Recorder(Together):
    """An event loop in a thread of its own; daemons can be recorded there while it runs."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()

    def _start(self, starting: ExitStack) -> None:
        thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        thread.start()
        starting.callback(thread.join, PATIENCE)
        starting.callback(self._loop.call_soon_threadsafe, self._loop.stop)

    @contextmanager
    def recording(
        self, daemon: MilterDaemon | PolicyDaemon, listener: socket.socket | int, language: Language
    ) -> Iterator[list[Pages]]:
        """Run *daemon* behind *listener*, or that port of the loopback; gives the connections, as they come."""
        recorded: list[Pages] = []

        def open_pages() -> Pages:
            recorded.append(Pages())
            return recorded[-1]

        if isinstance(listener, int):
            listener = socket.create_server((LOOPBACK, listener))
        serving = _proxied(daemon, listener, open_pages, language)
        self._do(serving.__aenter__())
        try:
            yield recorded
        finally:
            self._do(serving.__aexit__(None, None, None))

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)


@asynccontextmanager
async def _proxied(
    daemon: MilterDaemon | PolicyDaemon,
    listener: socket.socket,
    open_pages: Callable[[], Pages],
    language: Language,
) -> AsyncIterator[None]:
    async with running(daemon) as address:
        proxy = Proxy(address, open_pages, _complain, language)
        server = await asyncio.start_server(proxy.serve, sock=listener)
        try:
            yield
        finally:
            server.close()
            await proxy.stop()


def _complain(text: str) -> None:
    raise RuntimeError(text)
