"""The whole server under load: every mail is accounted for, with our daemons and with those that they replace."""

from __future__ import annotations

import sys

import pytest

from tests.pipeline.load import NOTHING, SIDES, server, table, turns

MAILS = 200


def test_mixed_mails_as_fast_as_postfix_takes_them(capsys: pytest.CaptureFixture[str]) -> None:
    with server() as running:
        done = list(turns(running, NOTHING, MAILS))
    with capsys.disabled():
        sys.stdout.write("\n".join(["", *table(done), ""]))
    assert [turn.side for turn in done] == [side.name for side in SIDES]
    for turn in done:
        assert turn.problems == []
        assert 0 < turn.refused < MAILS
    assert len({turn.refused for turn in done}) == 1
