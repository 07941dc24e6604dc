"""Between requests and the store: gathers the requests of a turn, keeps time, and goes on without a store.

While the store works on one lot of requests the next gathers, so that one
transaction serves all that came in one turn of the event loop. A store that
fails is left alone for a moment, and nobody waits for it: mail passes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from gatepost.log import Logger
from policy.greylisting.counts import Counts
from policy.greylisting.decision import Decision
from policy.greylisting.store import Question, Store, StoreError

MOST_AT_ONCE = 64
"""Requests of one transaction: it holds up the event loop, and other processes, only for about a millisecond."""

RETRY_AFTER = 1.0
"""Seconds for which a store that failed is left alone."""

_COUNT_EVERY = 60.0
_HURRY = 0.005

Waiting = list[tuple[Question, "asyncio.Future[Decision | None]"]]


class Desk:
    """Takes questions to *store*. Belongs to one event loop, on which it has to be made.

    The store has *timeout* seconds for a lot of questions. *clock* gives the
    time in seconds since 1970.
    """

    def __init__(
        self,
        store: Store,
        *,
        timeout: float,
        log: Logger,
        counts: Counts,
        clock: Callable[[], float] = time.time,
        retry_after: float = RETRY_AFTER,
    ) -> None:
        self._store = store
        self._timeout = timeout
        self._log = log
        self._counts = counts
        self._clock = clock
        self._retry_after = retry_after
        self._loop = asyncio.get_running_loop()
        self._waiting: Waiting = []
        self._working: asyncio.Task[None] | None = None
        self._failing = False
        self._told = False
        self._worked = False
        self._try_again = 0.0
        self._closed = False
        self._housekeeper = self._loop.create_task(self._keep_house())

    async def judge(self, question: Question) -> Decision | None:
        """The store's decision, once it is remembered; None where there is no store at the moment."""
        if self._closed or (
            self._failing and (self._working is not None or self._loop.time() < self._try_again)
        ):
            return None
        answer: asyncio.Future[Decision | None] = self._loop.create_future()
        self._waiting.append((question, answer))
        if self._working is None:
            self._working = self._loop.create_task(self._work())
        return await answer

    async def close(self) -> None:
        """Answer what waits, and close the store."""
        self._closed = True
        self._housekeeper.cancel()
        tasks = [task for task in (self._housekeeper, self._working) if task is not None]
        await asyncio.wait(tasks)
        await self._store.close()

    async def _work(self) -> None:
        while self._waiting:
            lot, self._waiting = self._waiting[:MOST_AT_ONCE], self._waiting[MOST_AT_ONCE:]
            await self._serve(lot)
        self._working = None

    async def _serve(self, lot: Waiting) -> None:
        decisions: list[Decision] | None = None
        try:
            async with asyncio.timeout(self._timeout):
                # Milliseconds: every store keeps them as they are.
                decisions = await self._store.judge(
                    [question for question, _ in lot], round(self._clock(), 3)
                )
            self._recovered()
        except TimeoutError:
            self._failed(f"no answer within {self._timeout:g} s")
        except StoreError as error:
            self._failed(str(error))
        except Exception as error:
            self._failed("a fault of gatepost's own")
            self._log.failure("the greylist's store broke", error)
        if decisions is None:
            # Whoever came meanwhile would only wait for the same.
            lot, self._waiting = lot + self._waiting, []
            _answer(lot, None)
            return
        for (_, answer), decision in zip(lot, decisions, strict=True):
            if not answer.done():
                answer.set_result(decision)

    def _failed(self, text: str) -> None:
        self._counts.store_errors.inc()
        self._try_again = self._loop.time() + self._retry_after
        self._failing = True
        self._complain(text)

    def _complain(self, text: str) -> None:
        if not self._told:
            self._told = True
            self._log.event("error", "the greylist's store does not work: mail passes meanwhile", error=text)

    def _recovered(self) -> None:
        self._worked = True
        self._failing = False
        if self._told:
            self._told = False
            self._log.event("warning", "the greylist's store works again")

    async def _keep_house(self) -> None:
        """Remove what has expired, step by step, and count what is left now and then."""
        count_at = 0.0
        while True:
            try:
                pause = await self._store.tend(self._clock())
                if self._loop.time() >= count_at:
                    count_at = self._loop.time() + _COUNT_EVERY
                    self._counts.entries.set(await self._store.size())
                    self._worked = True
            except StoreError as error:
                # One that never worked is told of at the start; of another the next request will tell.
                if not self._worked:
                    self._complain(str(error))
                pause = self._retry_after
            except Exception as error:
                self._log.failure("the greylist's housekeeping broke", error)
                pause = _COUNT_EVERY
            await asyncio.sleep(max(pause, _HURRY))


def _answer(lot: Waiting, decision: Decision | None) -> None:
    for _, answer in lot:
        if not answer.done():
            answer.set_result(decision)
