"""A run of the tests that leaves something behind is told of it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.leftovers import Leftovers


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "dmarc.db").write_text("rows")
    return tmp_path / "lib"


@pytest.fixture
def leftovers(foreign: Path) -> Iterator[Leftovers]:
    before = tempfile.gettempdir()
    watching = Leftovers([foreign, foreign / "missing"])
    try:
        yield watching
    finally:
        watching.close()
        assert tempfile.gettempdir() == before
        assert not watching.directory.exists()


def test_a_clean_run_leaves_nothing(leftovers: Leftovers) -> None:
    with tempfile.TemporaryDirectory() as name:
        assert Path(name).parent == leftovers.directory
    subprocess.run([sys.executable, "-c", ""], check=True)
    assert leftovers.found() == []


@pytest.mark.parametrize("name", ["dmarc.db", "new", "keys/new"])
def test_foreign_files(leftovers: Leftovers, foreign: Path, name: str) -> None:
    (foreign / name).parent.mkdir(exist_ok=True)
    with (foreign / name).open("a") as file:
        file.write("a row")
    assert f"{foreign / name} was changed" in leftovers.found()


def test_a_foreign_file_that_went(leftovers: Leftovers, foreign: Path) -> None:
    (foreign / "dmarc.db").unlink()
    assert f"{foreign / 'dmarc.db'} was changed" in leftovers.found()


def test_temporary_files(leftovers: Leftovers) -> None:
    name = tempfile.mkdtemp(prefix="gatepost-")
    assert leftovers.found() == [f"{name} is left"]


def test_processes(leftovers: Leftovers) -> None:
    """Also one that nobody waits for any more, in a session of its own."""
    reader, writer = os.pipe()
    orphan = [sys.executable, "-c", "import os; os.read(0, 1)", "orphan"]
    script = "import subprocess, sys; subprocess.Popen(sys.argv[1:], start_new_session=True)"
    subprocess.run([sys.executable, "-c", script, *orphan], stdin=reader, check=True)
    os.close(reader)
    [line] = leftovers.found(patience=0.1)
    assert line.endswith(" orphan) still runs")
    os.close(writer)
    assert leftovers.found() == []
