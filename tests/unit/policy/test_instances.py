"""What is remembered of messages ends, by number and by time."""

from __future__ import annotations

import pytest

from policy.instances import LONGEST_KEY, Instances
from tests.harness.clock import Seconds


def test_the_longest_unused_goes_first() -> None:
    instances: Instances[int] = Instances(2, 60.0, Seconds())
    instances.put("a", 1)
    instances.put("b", 2)
    assert instances.get("a") == 1
    instances.put("c", 3)
    assert [instances.get(key) for key in "abc"] == [1, None, 3]


def test_time_ends_what_is_not_asked_for() -> None:
    clock = Seconds()
    instances: Instances[int] = Instances(10, 60.0, clock)
    instances.put("a", 1)
    instances.put("b", 2)
    clock.now += 60.0
    assert instances.get("a") == 1
    clock.now += 1.0
    assert [instances.get(key) for key in "ab"] == [1, None]
    instances.put("c", 3)
    assert len(instances) == 2
    clock.now += 139.0
    assert instances.get("a") is None
    instances.put("d", 4)
    assert len(instances) == 1


def test_a_new_value_replaces_the_old() -> None:
    instances: Instances[int] = Instances(10, 60.0, Seconds())
    instances.put("a", 1)
    instances.put("a", 2)
    assert (instances.get("a"), len(instances)) == (2, 1)


@pytest.mark.parametrize("key", ["x" * LONGEST_KEY, ("x", "y" * (LONGEST_KEY - 1))])
def test_a_key_that_no_message_has_is_not_remembered(key: str | tuple[str, ...]) -> None:
    instances: Instances[int] = Instances(10, 60.0, Seconds())
    instances.put(key, 1)
    assert instances.get(key) == 1
    longer = key + "x" if isinstance(key, str) else (*key, "x")
    instances.put(longer, 1)
    assert instances.get(longer) is None
    assert len(instances) == 1
