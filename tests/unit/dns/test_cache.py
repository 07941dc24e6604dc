from __future__ import annotations

import pytest

from gatepost.dns.answer import Answer, Outcome
from gatepost.dns.cache import ENTRY_BYTES, Cache
from tests.harness.clock import Seconds

ANSWER = Answer(Outcome.FOUND, (b"x",))


def keys(cache: Cache, names: str) -> str:
    return "".join(name for name in names if cache.get((name, "TXT")) is not None)


@pytest.mark.parametrize(
    ("ttl", "after", "kept"),
    [(10, 0, True), (10, 9.9, True), (10, 10, False), (0, 0, False), (-1, 0, False)],
)
def test_kept_for_the_ttl(ttl: float, after: float, kept: bool) -> None:
    clock = Seconds()
    cache = Cache(10, clock=clock)
    cache.put(("a", "TXT"), ANSWER, ttl)
    clock.now += after
    assert (cache.get(("a", "TXT")) is ANSWER) is kept
    assert len(cache) == kept
    assert bool(cache.weight) is kept


def test_the_least_recently_used_go_first() -> None:
    cache = Cache(3)
    for name in "abc":
        cache.put((name, "TXT"), ANSWER, 60)
    cache.get(("a", "TXT"))
    cache.put(("d", "TXT"), ANSWER, 60)
    assert keys(cache, "abcd") == "acd"


def test_types_are_kept_apart() -> None:
    cache = Cache(3)
    cache.put(("a", "TXT"), ANSWER, 60)
    assert cache.get(("a", "MX")) is None


def test_no_entries_keeps_none() -> None:
    cache = Cache(0)
    cache.put(("a", "TXT"), ANSWER, 60)
    assert len(cache) == 0


def test_large_answers_are_bounded_by_their_bytes() -> None:
    cache = Cache(1000, size=100_000)
    large = Answer(Outcome.FOUND, (b"x" * 30_000,))
    for name in "abcdefgh":
        cache.put((name, "TXT"), large, 60)
    assert keys(cache, "abcdefgh") == "fgh"
    assert cache.weight <= 100_000


def test_an_answer_that_is_too_large_alone_drives_out_nothing() -> None:
    cache = Cache(10, size=10_000)
    cache.put(("a", "TXT"), ANSWER, 60)
    cache.put(("b", "TXT"), Answer(Outcome.FOUND, (b"x" * 10_000,)), 60)
    assert keys(cache, "ab") == "a"


def test_an_answer_replaced_weighs_once() -> None:
    cache = Cache(10)
    for size in (5000, 10):
        cache.put(("a", "TXT"), Answer(Outcome.FOUND, (b"x" * size,)), 60)
    assert cache.weight < ENTRY_BYTES + 200
    cache.put(("a", "TXT"), ANSWER, 0)
    assert cache.get(("a", "TXT")) is None
    assert cache.weight == 0
