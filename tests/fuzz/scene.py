"""What the dialogues' targets stand on: a directory of their own, an event loop, and a DNS that the input fills."""

from __future__ import annotations

import asyncio
import atexit
import shutil
import tempfile
from collections.abc import Coroutine
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from gatepost.dns.answer import Answer, Outcome
from gatepost.dns.budget import Budget

Result = TypeVar("Result")


@cache
def scratch() -> Path:
    """A directory that goes with ``leave``."""
    return Path(tempfile.mkdtemp(prefix="gatepost-fuzz-"))


@cache
def _loop() -> asyncio.AbstractEventLoop:
    return asyncio.new_event_loop()


def leave() -> None:
    """Remove the directory and close the loop, at the end of all."""
    if scratch.cache_info().currsize:
        shutil.rmtree(scratch(), ignore_errors=True)
        scratch.cache_clear()
    if _loop.cache_info().currsize:
        _loop().close()
        _loop.cache_clear()


atexit.register(leave)


def run(conversation: Coroutine[Any, Any, Result]) -> Result:
    """Run *conversation* on the loop that all handlers belong to, and see that it leaves nothing behind."""

    async def seen_through() -> Result:
        before = asyncio.all_tasks()
        result = await conversation
        for _ in range(5):
            left = asyncio.all_tasks() - before
            if not left:
                break
            await asyncio.sleep(0)
        assert not left, left
        return result

    return _loop().run_until_complete(seen_through())


class Log:
    """Takes what dialogues say of themselves; that they broke is what must not happen."""

    def event(self, level: str, message: str, /, **fields: object) -> None:
        """One line."""

    def failure(self, message: str, error: BaseException, /, **fields: object) -> None:
        """A handler has raised something."""
        raise AssertionError(message) from error


class Answers:
    """A resolver: what *real* knows at once, and else *record*, or nothing where that is empty.

    With *cold* all answers come through ``lookup``.
    """

    def __init__(self, real: Any = None, record: bytes = b"", cold: bool = False) -> None:
        self._real = real
        self.record = record
        self.cold = cold
        self.asked = 0

    def cached(self, name: str, rdtype: str) -> Answer | None:
        """As the resolver's."""
        return None if self.cold else self._answer(name, rdtype)

    async def lookup(self, name: str, rdtype: str, budget: Budget | None = None) -> Answer:
        """As the resolver's."""
        self.asked += 1
        assert self.asked < 2000, "questions without end"
        if budget is not None and (refusal := budget.spend()):
            return Answer(Outcome.TIMEOUT, detail=refusal)
        await asyncio.sleep(0)
        return self._answer(name, rdtype)

    async def close(self) -> None:
        """As the resolver's."""

    def _answer(self, name: str, rdtype: str) -> Answer:
        known = self._real.cached(name, rdtype) if self._real is not None else None
        if known is not None:
            return known  # type: ignore[no-any-return]
        if not self.record or not name:
            return Answer(Outcome.NXDOMAIN)
        match rdtype:
            case "TXT":
                return Answer(Outcome.FOUND, (self.record,))
            case "MX":
                return Answer(Outcome.FOUND, ((10, name),))
            case "A":
                return Answer(Outcome.FOUND, ("192.0.2.10",))
            case "PTR":
                return Answer(Outcome.FOUND, ("mx.example.org",))
            case _:
                return Answer(Outcome.NODATA)
