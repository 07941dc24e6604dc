"""One site for all tests that leave it as it was."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.hostile.site import Site

LIMITS = {"header_fields": 20_000, "header_bytes": "10M", "partial_timeout": "2s"}
"""More header than usual, so that what lies behind those limits is reached."""


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with Site(tmp_path_factory.mktemp("site"), LIMITS) as running:
        yield running
