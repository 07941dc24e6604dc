"""What holds for all tests."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.leftovers import Leftovers
from tests.pipeline.machine import inside

_END_TO_END = Path(__file__).parent / "e2e"
_LEFTOVERS = pytest.StashKey[Leftovers]()
_FOUND = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    """Give the run a directory for temporary files. On the pipeline's machine all ends with the machine."""
    parallel_worker = hasattr(config, "workerinput")
    if not parallel_worker and not inside():
        # Pytest's own directories stay, for a look at them.
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir())
        config.stash[_LEFTOVERS] = Leftovers()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove that directory."""
    leftovers = config.stash.get(_LEFTOVERS, None)
    if leftovers is not None:
        leftovers.close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything under tests/e2e runs a private Postfix, and bears the mark that says so."""
    for item in items:
        if _END_TO_END in item.path.parents:
            item.add_marker("e2e")


@pytest.fixture
def open_place() -> Iterator[Path]:
    """A directory that other users can enter, and that sockets may lie in: pytest's own is closed, its name long."""
    with tempfile.TemporaryDirectory(prefix="gatepost-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Nothing may be left of a run, and nothing changed that belongs to an installed gatepost."""
    leftovers = session.config.stash.get(_LEFTOVERS, None)
    if leftovers is None:
        return
    session.config.stash[_FOUND] = left = leftovers.found()
    if left and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what was left."""
    left = config.stash.get(_FOUND, [])
    if left:
        terminalreporter.section("left behind by the tests")
        for line in left:
            terminalreporter.line(line)
