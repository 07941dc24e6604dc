"""The demo tells the truth: each stop of its tour ends as it says."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from script.tour.stops import STOPS, Stop
from script.tour.world import World

_QUEUE_ID = re.compile(r"mx/smtpd\[\d+\]: (\w+): client=mx\.example\.org")


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with World() as world:
        yield world


@pytest.mark.parametrize("stop", STOPS, ids=lambda stop: stop.title)
def test_stop(world: World, stop: Stop) -> None:
    outcome = stop.visit(world)
    assert stop.look(world, outcome) == stop.expected, outcome.trouble


def test_no_mailbox_holds_a_seal(world: World) -> None:
    """Behind the filter the border's result is kept, and its seal taken off."""
    stop = next(stop for stop in STOPS if stop.expected == "dkim pass")
    outcome = world.receive(stop.mail(world), stop.sender, stop.recipient)
    assert outcome.delivery is not None
    fields = " ".join(outcome.delivery.values("Authentication-Results"))
    assert fields.count("dkim=pass") == 1
    assert fields.count("dmarc=pass") == 1
    assert b"gatepost-" not in outcome.delivery.octets


def test_each_message_leaves_one_line_and_one_count(world: World) -> None:
    verifier = world.daemons["dkim-verify"]

    def counted() -> float:
        samples = verifier.metrics()
        return sum(value for name, value in samples.items() if name.startswith("gatepost_messages_total"))

    before = counted()
    stop = next(stop for stop in STOPS if stop.expected == "dkim pass")
    world.receive(stop.mail(world), stop.sender, stop.recipient)
    assert counted() == before + 2  # at the border, and again behind the filter
    queue_id = _QUEUE_ID.findall(world.layout.postfix.log())[-1]
    assert len([line for line in verifier.log().splitlines() if queue_id in line]) == 1
