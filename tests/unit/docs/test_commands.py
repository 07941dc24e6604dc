"""The page of commands shows what the commands take, and what they print."""

from __future__ import annotations

from gatepost.cli import COMMANDS
from script.commands import SHOWN, TARGET, page


def test_the_page_is_up_to_date() -> None:
    assert TARGET.read_text() == page(), "run script/commands.py"


def test_every_command_is_shown_at_work() -> None:
    assert list(SHOWN) == list(COMMANDS)
    assert all(line.split()[0] == name for name, line in SHOWN.items())
