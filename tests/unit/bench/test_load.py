"""The load generator: what it counts, and that it never takes a wrong answer for work."""

from __future__ import annotations

import os
import time

import pytest

from bench import load
from bench.load import LoadError, quantile
from bench.machine import cores, tree, tree_cpu_seconds, tree_memory


class Steady:
    """Takes a millisecond for each piece, and has so many of them."""

    def __init__(self, pieces: int) -> None:
        self.left = pieces

    def __call__(self) -> float:
        if not self.left:
            raise StopIteration
        self.left -= 1
        time.sleep(0.001)
        return 0.001

    def close(self) -> None:
        pass


class Wrong(Steady):
    def __call__(self) -> float:
        if self.left == 1:
            raise LoadError("not what it should be")
        return super().__call__()


class Dying(Steady):
    def __call__(self) -> float:
        os._exit(3)


def test_clients_work_side_by_side_until_the_time_is_up() -> None:
    found = load.run(lambda number, clients: Steady(10**6), 3, 0.2)
    assert found.p50 == found.p99 == 0.001
    assert 3 < found.count < 3 * 200
    assert 0 < found.rate <= 3 * 1000
    assert 0 < found.share < 1
    assert found.cpu == 0


def test_clients_may_run_out_of_work() -> None:
    found = load.run(lambda number, clients: Steady(number * 10), 3, 30)
    assert found.count == 10 + 20


def test_the_clients_know_their_number() -> None:
    pieces = {(0, 2): 3, (1, 2): 4}
    assert load.run(lambda number, clients: Steady(pieces[number, clients]), 2, 30).count == 7


def test_the_servers_cpu_is_counted() -> None:
    found = load.run(lambda number, clients: Steady(50), 1, 30, [os.getpid()])
    assert 0 <= found.cpu < 1


@pytest.mark.parametrize(("client", "said"), [(Wrong, "client 0: LoadError: not what"), (Dying, "has died")])
def test_what_goes_wrong_ends_the_run(client: type[Steady], said: str) -> None:
    with pytest.raises(LoadError, match=said):
        load.run(lambda number, clients: client(3), 1, 30)


def test_a_client_that_cannot_be_made_ends_the_run() -> None:
    def make(number: int, clients: int) -> Steady:
        raise ConnectionRefusedError("nobody there")

    with pytest.raises(LoadError, match="ConnectionRefusedError: nobody there"):
        load.run(make, 1, 30)


@pytest.mark.parametrize(("part", "value"), [(0, 1), (0.5, 6), (0.99, 10), (1, 10)])
def test_quantiles(part: float, value: int) -> None:
    assert quantile(range(1, 11), part) == value


def test_what_the_kernel_knows() -> None:
    assert cores() >= 1
    assert os.getpid() in tree([os.getpid()])
    assert tree([2**22 + 1]) == []
    assert tree_cpu_seconds([os.getpid()]) > 0
    assert tree_memory([os.getpid()]) > 1024 * 1024
