"""A Postfix cannot run everywhere: where it cannot, say so once and plainly."""

from __future__ import annotations

import pytest

from tests.harness.postfix import unavailable


@pytest.fixture(autouse=True, scope="session")
def _postfix() -> None:
    reason = unavailable()
    if reason:
        pytest.skip(f"end-to-end tests cannot run here: {reason}")
