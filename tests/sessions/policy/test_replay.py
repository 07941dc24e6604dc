"""Every recorded policy session, played again: the same answers, octet for octet, as the real Postfix got."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import pytest

from gatepost.cli.replay import running
from gatepost.recording.difference import Difference
from policy.recording.events import Asked, Recording
from policy.recording.replay import replay
from policy.recording.text import parse, write
from tests.harness.policy_client import USUAL
from tests.sessions.daemons import NOW
from tests.sessions.policy.daemons import HERE, NAMES, daemon
from tests.sessions.policy.scenes import SCENES

FILES = sorted(HERE.glob("*/*.session"))


def read(file: Path) -> Recording:
    return parse(file.read_text(encoding="utf-8"))


async def played(recording: Recording, name: str, scratch: Path) -> list[Difference]:
    """What is different on a service that remembers nothing, at the times of the recording."""
    now: float = NOW

    def set_clock(seconds: float) -> None:
        nonlocal now
        now = seconds

    async with running(daemon(name, scratch, lambda: now)) as address:
        return await replay(recording, address, masked=False, set_clock=set_clock, patience=20)


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_the_answers_are_as_recorded(file: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="gatepost-") as scratch:
        assert asyncio.run(played(read(file), file.parent.name, Path(scratch))) == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_files_are_written_as_they_are_read(file: Path) -> None:
    """So that recording anew shows nothing but what is different."""
    assert write(read(file)) == file.read_text(encoding="utf-8")


def test_every_scene_has_its_session() -> None:
    assert {(file.parent.name, file.stem) for file in FILES} == {(each.daemon, each.name) for each in SCENES}
    assert {each.daemon for each in SCENES} == set(NAMES)


def test_the_test_client_asks_as_postfix_does() -> None:
    (connection,) = read(HERE / "spf" / "pass.session").connections
    (asked,) = [event for event in connection.events if isinstance(event, Asked)]
    assert [name for name, _ in asked.attributes] == list(USUAL)


def test_a_different_answer_is_seen(tmp_path: Path) -> None:
    ((number, lines),) = asyncio.run(played(read(HERE / "spf" / "softfail.session"), "spf-strict", tmp_path))

    assert number == 1
    assert lines[1].startswith('-"PREPEND Authentication-Results')
    assert lines[2].startswith('+"550 5.7.23 ')
