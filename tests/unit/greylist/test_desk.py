"""Gathering requests, and going on without a store."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import cast

import pytest

from policy.greylisting.decision import Decision, Outcome
from policy.greylisting.desk import MOST_AT_ONCE, Desk
from policy.greylisting.store import Question, Store, StoreError
from tests.harness.log_file import LogFile
from tests.harness.waiting import PATIENCE
from tests.unit.greylist.support import ask, counts, triplet, until

PASSES = Decision(Outcome.KNOWN)


class FakeStore:
    """Answers when it is let, and fails when it is told."""

    def __init__(self) -> None:
        self.lots: list[int] = []
        self.error: Exception | None = None
        self.ready = asyncio.Event()
        self.ready.set()
        self.closed = False
        self.times: list[float] = []

    async def judge(self, questions: Sequence[Question], now: float) -> list[Decision]:
        self.lots.append(len(questions))
        self.times.append(now)
        await self.ready.wait()
        if self.error is not None:
            raise self.error
        return [PASSES] * len(questions)

    async def tend(self, now: float) -> float:
        if self.error is not None:
            raise self.error
        return 0.0

    async def size(self) -> int:
        return 42

    async def close(self) -> None:
        self.closed = True


def desk_of(store: FakeStore, log: LogFile, *, timeout: float = PATIENCE, retry_after: float = 60.0) -> Desk:
    return Desk(
        cast(Store, store),
        timeout=timeout,
        log=log.log,
        counts=counts(),
        clock=lambda: 1.23456,
        retry_after=retry_after,
    )


def test_requests_of_one_turn_share_a_transaction(log: LogFile) -> None:
    async def scene() -> None:
        store = FakeStore()
        desk = desk_of(store, log)
        assert await ask(desk, *[triplet()] * 10) == [PASSES] * 10
        assert store.lots == [10]
        assert store.times == [1.235]
        await desk.close()
        assert store.closed

    asyncio.run(scene())


def test_what_comes_while_the_store_works_goes_in_lots(log: LogFile) -> None:
    async def scene() -> None:
        store = FakeStore()
        desk = desk_of(store, log)
        store.ready.clear()
        first = asyncio.create_task(ask(desk, triplet()))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        others = asyncio.create_task(ask(desk, *[triplet()] * (MOST_AT_ONCE + 3)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        store.ready.set()
        assert await first + await others == [PASSES] * (MOST_AT_ONCE + 4)
        assert store.lots == [1, MOST_AT_ONCE, 3]
        await desk.close()

    asyncio.run(scene())


def test_one_who_gives_up_waiting_does_not_disturb_the_others(log: LogFile) -> None:
    async def scene() -> None:
        store = FakeStore()
        desk = desk_of(store, log)
        store.ready.clear()
        impatient = asyncio.create_task(desk.judge(Question(triplet())))
        patient = asyncio.create_task(desk.judge(Question(triplet())))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        impatient.cancel()
        store.ready.set()
        assert await patient == PASSES
        with pytest.raises(asyncio.CancelledError):
            await impatient
        await desk.close()

    asyncio.run(scene())


@pytest.mark.parametrize("error", [StoreError("disk full"), KeyError("a bug of ours")])
def test_without_a_store_nobody_waits(log: LogFile, error: Exception) -> None:
    async def scene() -> None:
        store = FakeStore()
        desk = desk_of(store, log)
        store.error = error
        assert await ask(desk, *[triplet()] * (MOST_AT_ONCE + 5)) == [None] * (MOST_AT_ONCE + 5)
        assert store.lots == [MOST_AT_ONCE]
        for _ in range(100):
            assert await desk.judge(Question(triplet())) is None
        assert store.lots == [MOST_AT_ONCE]
        await desk.close()

    asyncio.run(scene())
    lines = [line for line in log.messages if "mail passes" in line]
    assert len(lines) == 1


def test_a_store_that_is_back_is_used_at_once(log: LogFile) -> None:
    async def scene() -> None:
        store = FakeStore()
        desk = desk_of(store, log, retry_after=0.0)
        store.error = StoreError("away")
        for _ in range(5):
            assert await desk.judge(Question(triplet())) is None
        assert len(store.lots) == 5
        store.error = None
        assert await desk.judge(Question(triplet())) == PASSES
        assert await desk.judge(Question(triplet())) == PASSES
        await desk.close()

    asyncio.run(scene())
    assert [line for line in log.messages if "mail passes" in line or "works again" in line] == [
        "the greylist's store does not work: mail passes meanwhile",
        "the greylist's store works again",
    ]


def test_a_store_that_never_worked_is_told_of_before_the_first_request(log: LogFile) -> None:
    async def scene() -> None:
        store = FakeStore()
        store.error = StoreError("no such directory")
        desk = desk_of(store, log)

        async def told() -> bool:
            return bool(log.messages)

        await until(told, "the complaint")
        assert await desk.judge(Question(triplet())) is None
        await desk.close()

    asyncio.run(scene())
    assert log.messages == ["the greylist's store does not work: mail passes meanwhile"]


def test_a_store_that_hangs_holds_up_one_lot_and_no_more(
    log: LogFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        store = FakeStore()
        desk = desk_of(store, log, timeout=0.05, retry_after=0.0)
        store.ready.clear()
        assert await ask(desk, triplet(), triplet()) == [None, None]
        # The next attempt hangs too; who comes meanwhile does not wait for it, and for no time at all.
        loop = asyncio.get_running_loop()
        now = loop.time()
        monkeypatch.setattr(loop, "time", lambda: now)
        probe = asyncio.create_task(desk.judge(Question(triplet())))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        meanwhile = asyncio.create_task(desk.judge(Question(triplet())))
        await asyncio.sleep(0)
        assert meanwhile.result() is None
        monkeypatch.undo()
        assert await probe is None
        await desk.close()

    asyncio.run(scene())
    assert "no answer within 0.05 s" in {line.get("error") for line in log.lines}


def test_the_entries_are_counted(log: LogFile) -> None:
    async def scene() -> None:
        store, counted = FakeStore(), counts()
        desk = Desk(cast(Store, store), timeout=PATIENCE, log=log.log, counts=counted)

        async def told() -> bool:
            return _value(counted.entries) == 42

        await until(told, "the gauge of entries")
        await desk.close()

    asyncio.run(scene())


def test_a_closed_desk_lets_everything_pass(log: LogFile) -> None:
    async def scene() -> None:
        store = FakeStore()
        desk = desk_of(store, log)
        store.ready.clear()
        waiting = asyncio.create_task(desk.judge(Question(triplet())))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        closing = asyncio.create_task(desk.close())
        await asyncio.sleep(0)
        assert await desk.judge(Question(triplet())) is None
        assert not store.closed
        store.ready.set()
        assert await waiting == PASSES
        await closing
        assert store.closed

    asyncio.run(scene())


def _value(metric: object) -> float:
    (sample,) = [sample for family in metric.collect() for sample in family.samples]  # type: ignore[attr-defined]
    return float(sample.value)
