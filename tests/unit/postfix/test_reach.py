"""Whether another user can get at a socket."""

from __future__ import annotations

import pwd
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from gatepost.postfix.reach import Reacher, reacher

NOBODY = pwd.getpwnam("nobody")


def eyes() -> Reacher:
    found = reacher("nobody")
    assert found is not None
    return found


@pytest.fixture
def place(open_place: Path) -> Iterator[Path]:
    """A directory with a socket that everyone may reach."""
    directory = open_place / "inner"
    directory.mkdir()
    directory.chmod(0o755)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(directory / "s"))
        (directory / "s").chmod(0o666)
        yield directory


@pytest.mark.parametrize(
    ("path", "mode", "missing", "words"),
    [
        ("s", 0o666, None, ""),
        ("s", 0o660, False, "cannot write to"),
        ("s", 0o604, False, "cannot write to"),
        ("", 0o700, False, "cannot enter"),
        ("", 0o754, False, "cannot enter"),
        ("", 0o751, None, ""),
    ],
)
def test_modes(place: Path, path: str, mode: int, missing: bool | None, words: str) -> None:
    (place / path).chmod(mode)
    obstacle = eyes().obstacle(str(place / "s"))
    assert (obstacle.missing if obstacle else None) is missing
    assert words in (obstacle.text if obstacle else "")


def test_what_is_not_there_or_no_socket(place: Path) -> None:
    gone = eyes().obstacle(str(place / "gone"))
    assert gone is not None
    assert gone.missing
    (place / "file").touch(0o666)
    file = eyes().obstacle(str(place / "file"))
    assert file is not None
    assert "is no socket" in file.text


@pytest.mark.parametrize(
    ("who", "mode", "reached"),
    [
        ("group", 0o660, True),
        ("group", 0o606, False),
        ("owner", 0o600, True),
        ("owner", 0o066, False),
        ("other", 0o606, True),
    ],
)
def test_owner_and_group_count_before_others(place: Path, who: str, mode: int, reached: bool) -> None:
    path = place / "s"
    path.chmod(mode)
    status = path.stat()
    uid = status.st_uid if who == "owner" else NOBODY.pw_uid
    groups = frozenset({status.st_gid} if who == "group" else set())
    # The way there is open to everyone.
    assert (Reacher("someone", uid, groups).obstacle(str(path)) is None) is reached


def test_nobody_we_know() -> None:
    assert reacher("no-such-user-here") is None
