"""Whom the DMARC daemon leaves alone."""

from __future__ import annotations

from typing import Any

import pytest

from tests.harness.log_file import LogFile
from tests.unit.daemons.dmarc_support import (
    DKIM_PASS,
    ELSEWHERE,
    FROM,
    action,
    dmarc,
    field,
    questions,
)
from tests.unit.daemons.support import (
    ID,
    STRANGER,
    deleted,
    run,
)
from tests.unit.dkim.support import MESSAGE


@pytest.mark.parametrize(
    ("settings", "envelope", "reason"),
    [
        ({}, {"macros": {"auth_authen": "anna"}}, "authenticated user"),
        ({"ignore_from": ["example.nl"]}, {}, "author in ignore_from"),
        ({"ignore_from": ["Anna@Example.nl"]}, {}, "author in ignore_from"),
        ({"ignore_from": ["bert@example.nl", "sub.example.nl"]}, {}, None),
        ({"ignore_hosts": ["192.0.2.0/24"]}, {}, "client in ignore_hosts"),
        ({"ignore_hosts": ["192.0.2.0/24", f"!{STRANGER}"]}, {}, None),
        (
            {"ignore_hosts": [".friend.example"]},
            {"client_name": "a.friend.example"},
            "client in ignore_hosts",
        ),
    ],
)
def test_ignored(log: LogFile, settings: Any, envelope: Any, reason: str | None) -> None:
    daemon = dmarc(log, **settings)
    verdict = run(daemon, MESSAGE, **ELSEWHERE, **envelope)
    if reason is None:
        assert action(verdict) == "reject"
        return
    assert (action(verdict), list(verdict.changes)) == ("accept", [])
    assert questions(daemon) == []
    assert log.lines[-1]["reason"] == reason


@pytest.mark.parametrize(
    ("ignored", "reason"),
    [
        (["example.nl"], "author in ignore_from"),
        (["bert@example.nl", "anna@example.nl"], "author in ignore_from"),
        (["anna@example.nl"], None),
    ],
)
def test_of_several_authors_all_are_to_be_ignored(
    log: LogFile, ignored: list[str], reason: str | None
) -> None:
    raw = MESSAGE.replace(FROM, b"From: anna@example.nl, bert@example.nl")
    run(dmarc(log, ignore_from=ignored), raw, **ELSEWHERE)
    assert log.lines[-1].get("reason") == (reason or "no aligned identifier")


def test_an_ignored_author_brings_no_forged_fields(log: LogFile) -> None:
    raw = field(f"{ID}; {DKIM_PASS}") + MESSAGE
    assert deleted(run(dmarc(log, ignore_from=["example.nl"]), raw, **ELSEWHERE)) == [1]
    assert deleted(run(dmarc(log), raw, macros={"auth_authen": "anna"})) == [1]
