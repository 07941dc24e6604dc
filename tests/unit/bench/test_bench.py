"""The bench as a whole: what it offers, two cases in short, and that nothing is left of a run that is broken off."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.__main__ import PAGE, ROOT, chosen
from bench.case import Case
from bench.everything import measurements
from bench.measurement import USUAL, Pace
from bench.missing import need
from bench.page import BEGIN, END
from bench.world import World
from tests.harness.waiting import PATIENCE, wait_for

SHORT = Pace(seconds=0.1, rounds=0.3)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with World() as running:
        yield running


def case(name: str) -> Case:
    [found] = chosen(measurements(), [name])
    assert isinstance(found, Case)
    return found


def test_all_have_names_of_their_own() -> None:
    names = [each.name for each in measurements()]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z0-9-]+", name) for name in names)


def test_all_together_take_less_than_25_minutes() -> None:
    assert 5 * 60 < sum(each.estimate(USUAL) for each in measurements()) < 25 * 60


def test_patterns_choose() -> None:
    assert [each.name for each in chosen(measurements(), ["memory", "verify-10m-*"])] == [
        "verify-10m-text",
        "verify-10m-html",
        "verify-10m-base64",
        "memory",
    ]
    with pytest.raises(SystemExit, match="nothing is called nonsense"):
        chosen(measurements(), ["verify-4k", "nonsense"])


def test_the_page_has_a_place_for_the_figures() -> None:
    assert re.search(rf"(?s)\n{BEGIN}\n.*{END}\n$", PAGE.read_text())


def test_messages(world: World) -> None:
    told: list[str] = []
    result = case("verify-4k").run(world, SHORT, told.append)
    rows = {row["daemon"]: row for row in result.rows}
    assert rows["gatepost"]["rate"] > 0
    assert 0 < rows["gatepost"]["p50"] < 1
    if os.geteuid() == 0:  # the peers want a DNS server on port 53
        assert rows["OpenDKIM"]["ratio"] == rows["gatepost"]["rate"] / rows["OpenDKIM"]["rate"]
        assert "OpenDKIM" not in result.missing
    assert set(rows) | set(result.missing) == {"gatepost", "OpenDKIM", "dkimpy-milter"}
    assert len(told) == 3


def test_requests(world: World) -> None:
    result = case("greylist-new").run(world, SHORT, lambda text: None)
    assert result.rows[0]["daemon"] == "gatepost"
    assert result.rows[0]["rate"] > 0


def test_what_is_missing_is_named() -> None:
    need("sh")
    with pytest.raises(Exception, match="not installed: no-such-program"):
        need("sh", "no-such-program")


def test_nothing_is_left_of_a_run_that_is_broken_off() -> None:
    with tempfile.TemporaryDirectory(prefix="gp-") as scratch:
        command = [sys.executable, "-m", "bench", "verify-4k", "--out", f"{scratch}/out"]
        with subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, "TMPDIR": scratch},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        ) as running:
            try:
                wait_for(lambda: any(Path(scratch).glob("gpbench-*/*-gatepost/dkim-verify")), "a daemon")
                running.send_signal(signal.SIGTERM)  # as by Ctrl-C: both raise KeyboardInterrupt
                assert running.wait(PATIENCE) == 130
                assert running.stderr is not None
                assert b"interrupted" in running.stderr.read()
            finally:
                running.kill()
        assert list(Path(scratch).iterdir()) == []
        assert mentioning(scratch) == []


def mentioning(text: str) -> list[str]:
    """The commands of all processes that have *text* in them."""
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = process.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue  # it has just ended
        if text in command:
            found.append(command)
    return found
