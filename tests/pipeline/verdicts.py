"""What stands in a delivered mail about its authentication."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tests.harness.delivery import Delivery
from tests.pipeline.machine import HOSTNAME

RESULTS = "Authentication-Results"

_RESULT = re.compile(r"(?<![\w.-])(spf|dkim|dmarc)=([a-z]+)")
_TESTS = re.compile(r"tests=\[([^\]]*)\]")


def results(delivery: Delivery, authserv_id: str = HOSTNAME) -> list[str]:
    """The fields of one server, topmost first."""
    return [value for value in delivery.values(RESULTS) if value.split(";")[0].strip() == authserv_id]


def verdicts(delivery: Delivery, authserv_id: str = HOSTNAME) -> dict[str, list[str]]:
    """The results of each method in the fields of one server."""
    found: dict[str, list[str]] = {}
    for value in results(delivery, authserv_id):
        for method, result in _RESULT.findall(value):
            found.setdefault(method, []).append(result)
    return found


def spam_tests(delivery: Delivery) -> Sequence[str]:
    """The names of SpamAssassin's rules that the mail has hit."""
    [status] = delivery.values("X-Spam-Status")
    found = _TESTS.search(status)
    return [] if found is None else [each.partition("=")[0].strip() for each in found[1].split(",")]
