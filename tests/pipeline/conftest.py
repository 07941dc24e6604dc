"""What the tests of the pipeline share; they run on the machine that script/test-pipeline makes, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.pipeline.machine import inside
from tests.pipeline.server import LAYOUTS, Server

collect_ignore_glob = [] if inside() else ["*"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--long``."""
    parser.addoption("--long", action="store_true", help="let each part of the server be away for a minute")


@pytest.fixture(scope="module", params=["A", "B"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """The whole server, once a module and layout."""
    with Server(LAYOUTS[request.param]) as running:
        yield running
