"""One secret for all daemons of a host, and only for them."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from gatepost.authres import secret as secret_module
from gatepost.authres.secret import LENGTH, MAX_LENGTH, SecretError, load, load_or_create, look
from tests.harness.waiting import PATIENCE


def test_is_made_once(tmp_path: Path) -> None:
    path = tmp_path / "lib" / "gatepost" / "seal.key"
    old = os.umask(0o077)
    try:
        made = load_or_create(path)
    finally:
        os.umask(old)
    assert len(made) == LENGTH
    assert load_or_create(path) == made == path.read_bytes()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert stat.S_IMODE(path.parent.stat().st_mode) & 0o027 == 0
    assert os.listdir(path.parent) == ["seal.key"]


def test_two_secrets_differ(tmp_path: Path) -> None:
    assert load_or_create(tmp_path / "a") != load_or_create(tmp_path / "b")


def test_daemons_that_start_at_once_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "seal.key"
    number = 8
    barrier = threading.Barrier(number)
    create = secret_module._create

    def all_find_no_file(path: Path, group: int | None) -> None:
        barrier.wait(PATIENCE)
        create(path, group)

    monkeypatch.setattr(secret_module, "_create", all_find_no_file)
    found: list[bytes] = []
    threads = [threading.Thread(target=lambda: found.append(load_or_create(path))) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert len(found) == number
    assert set(found) == {path.read_bytes()}
    assert os.listdir(tmp_path) == ["seal.key"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes files for others")
def test_root_makes_it_for_those_whose_directory_it_is(tmp_path: Path) -> None:
    """An administrator who checks the configuration before the first start must not keep the daemons out."""
    os.chown(tmp_path, 65534, 65533)
    load_or_create(tmp_path / "seal.key")
    status = (tmp_path / "seal.key").stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (65534, 65533, 0o640)


def write(path: Path, content: bytes, mode: int = 0o640) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_an_existing_one_is_taken_as_it_is(tmp_path: Path) -> None:
    path = write(tmp_path / "seal.key", b"x" * 48, 0o400)
    assert load_or_create(path) == b"x" * 48


@pytest.mark.parametrize(
    ("content", "mode", "says"),
    [
        (b"", 0o640, "remove the file"),
        (b"x" * (LENGTH - 1), 0o640, "remove the file"),
        (b"x" * (MAX_LENGTH + 1), 0o640, "name another file"),
        (b"x" * LENGTH, 0o644, "chmod o="),
        (b"x" * LENGTH, 0o642, "chmod o="),
    ],
)
def test_bad_files(tmp_path: Path, content: bytes, mode: int, says: str) -> None:
    path = write(tmp_path / "seal.key", content, mode)
    for take in (load_or_create, load, look):
        with pytest.raises(SecretError, match=says) as caught:
            take(path)
        assert "\n" not in str(caught.value)
        assert str(path) in str(caught.value)
    assert path.read_bytes() == content


def test_one_that_is_gone_is_not_made_anew(tmp_path: Path) -> None:
    """Daemons that already have it would not believe what is sealed with another."""
    path = tmp_path / "seal.key"
    made = load_or_create(path)
    assert load(path) == made
    path.unlink()
    with pytest.raises(SecretError, match="the seal secret is gone: put it back, or restart all daemons"):
        load(path)
    assert os.listdir(tmp_path) == []


def test_looking_makes_nothing(tmp_path: Path) -> None:
    assert len(look(tmp_path / "new" / "directories" / "seal.key")) == LENGTH
    assert os.listdir(tmp_path) == []
    path = write(tmp_path / "seal.key", b"x" * 48)
    assert look(path) == b"x" * 48


def test_looking_tells_what_making_one_would_meet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "file", b"")
    with pytest.raises(SecretError, match="Not a directory"):
        look(tmp_path / "file" / "seal.key")
    monkeypatch.setattr(os, "access", lambda *_args, **_options: False)
    with pytest.raises(
        SecretError, match="cannot make the seal secret: Permission denied: let the daemon's user"
    ):
        look(tmp_path / "seal.key")


def test_no_regular_file(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo, 0o640)
    for path in (fifo, tmp_path):
        with pytest.raises(SecretError):
            load_or_create(path)


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    write(tmp_path / "file", b"")
    with pytest.raises(SecretError):
        load_or_create(tmp_path / "file" / "seal.key")


@pytest.mark.parametrize("where", ["open", "link"])
def test_no_permission(tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> int:
        raise PermissionError(13, "Permission denied")

    path = tmp_path / "seal.key"
    monkeypatch.setattr(os, where, refuse)
    with pytest.raises(SecretError, match="Permission denied"):
        load_or_create(path)
    monkeypatch.undo()
    assert os.listdir(tmp_path) == []
