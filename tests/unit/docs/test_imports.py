"""What imports what is as docs/architecture.md has it: the contracts of .importlinter are kept."""

from __future__ import annotations

import configparser
from pathlib import Path

import pytest
from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

ROOT = Path(__file__).parents[3]
FILE = ROOT / ".importlinter"


def test_the_contracts_are_kept(capsys: pytest.CaptureFixture[str]) -> None:
    status = lint_imports(config_filename=str(FILE), no_cache=True)
    assert status == EXIT_STATUS_SUCCESS, capsys.readouterr().out


def test_each_room_is_told_of() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    rooms = [
        str(file.parent.relative_to(ROOT))
        for package in ("gatepost", "milters", "policy")
        for file in (ROOT / package).glob("**/__init__.py")
    ]
    assert len(rooms) > 15
    assert [room for room in rooms if f"`{room}`" not in page and f"`{room}/`" not in page] == []


def test_each_room_that_is_named_exists() -> None:
    """A room that has moved would be watched by nobody."""
    contracts = configparser.ConfigParser()
    contracts.read(FILE)
    named = [
        name
        for section in contracts.values()
        for key in ("source_modules", "modules")
        for name in section.get(key, "").split()
    ]
    assert len(named) > 20
    for name in named:
        path = ROOT.joinpath(*name.split("."))
        assert path.is_dir() or path.with_suffix(".py").is_file(), name
