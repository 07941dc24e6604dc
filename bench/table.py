"""The outcome as a table of text, for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.players import OURS
from bench.rounds import Outcome, Score

HEAD = (
    f"{'case':34} {'daemon':16} {'per second':>10} {'ratio':>7} {'wanted':>7} {'p50':>9} {'p99':>9}"
    f" {'p50 of 1':>9} {'CPU each':>9} {'load':>5}"
)


def lines(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """The table, line by line: per second and ratio with many clients, ours to the peer's."""
    yield HEAD
    for outcome in outcomes:
        title = outcome.case.title
        for score in outcome.scores:
            yield f"{title:34} {_row(outcome, score)}"
            title = ""
        for player, reason in outcome.missing.items():
            yield f"{title:34} {player:16} {reason}"
            title = ""


def ratio(outcome: Outcome, score: Score) -> float | None:
    """How many times as much as this peer ours does; None for ours."""
    ours = outcome.score(OURS)
    if ours is None or score is ours:
        return None
    return ours.many.rate / score.many.rate


def _row(outcome: Outcome, score: Score) -> str:
    times = ratio(outcome, score)
    wanted = outcome.case.targets.get(score.player)
    return (
        f"{score.player:16} {score.many.rate:10.1f} {f'{times:.2f}x' if times else '':>7}"
        f" {f'{wanted:g}x' if wanted else '':>7} {_time(score.many.p50):>9} {_time(score.many.p99):>9}"
        f" {_time(score.one.p50):>9} {_time(score.many.cpu):>9} {score.many.share:5.0%}"
    )


def _time(seconds: float) -> str:
    if seconds < 0.001:
        return f"{seconds * 1e6:.0f} us"
    return f"{seconds * 1e3:.2f} ms" if seconds < 0.1 else f"{seconds * 1e3:.0f} ms"
