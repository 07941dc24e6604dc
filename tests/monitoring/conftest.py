"""One site, and one Prometheus, for all tests here."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from tests.harness.units import NAMES
from tests.harness.waiting import wait_for
from tests.monitoring.prometheus import Prometheus
from tests.monitoring.site import Site, running


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The running daemons, with some mail behind them."""
    with running(tmp_path_factory.mktemp("monitored")) as site:
        yield site


@pytest.fixture(scope="session")
def prometheus(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus that has scraped all of them."""
    if shutil.which("prometheus") is None:
        pytest.skip("there is no prometheus here (package prometheus)")
    running = Prometheus(tmp_path_factory.mktemp("prometheus"), site)
    with running.process:
        wait_for(lambda: len(running.query("up == 1")) == len(NAMES), "a scrape of every daemon")
        yield running
