"""A soak of some seconds, and its mails."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.harness.postfix import unavailable
from tests.soak.run import FIRST_MAILS, Plan, Soak
from tests.soak.world import World


@pytest.mark.e2e
def test_a_short_one(tmp_path: Path) -> None:
    if reason := unavailable():
        pytest.skip(f"end-to-end tests cannot run here: {reason}")
    faults = (
        "a worker killed",
        "all workers killed",
        "a reload",
        "redis killed",
        "the clock stepped forward",
    )
    plan = Plan(seconds=6, seed=1, rate=10, pause=(0.2, 0.5), warm_up=1, only=faults)
    report = Soak(plan, tmp_path, lambda _: None).run()
    assert report.problems == []
    assert report.books.sent > FIRST_MAILS + 30
    assert report.faults.done


def test_every_kind_has_its_share_and_its_mail() -> None:
    world = World(1)
    assert sum(kind.share for kind in world.kinds) == 100
    for number, kind in enumerate(world.kinds, 1):
        mail = world.mail(number, kind)
        assert mail.kind is kind
        assert len(mail.recipients) == kind.recipients
        assert len(mail.octets) >= kind.size
