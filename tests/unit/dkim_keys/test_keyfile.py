from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from gatepost.dkim.keys.keyfile import (
    LARGEST_FILE,
    KeyFileError,
    KeyFileMissingError,
    KeyRules,
    load_private_key,
)
from tests.unit.dkim_keys.conftest import Keys, pem, public, write_key

RULES = KeyRules()


def _refusal(path: Path, rules: KeyRules = RULES) -> KeyFileError:
    with pytest.raises(KeyFileError) as caught:
        load_private_key(path, rules)
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith(str(path) if str(path).isprintable() else str(path)[:20])
    return caught.value


def test_a_file(key_file: Path, keys: Keys) -> None:
    assert public(load_private_key(key_file, RULES)) == public(keys.rsa)


def test_a_symbolic_link(key_file: Path, keys: Keys) -> None:
    link = key_file.with_name("link")
    link.symlink_to(key_file.name)
    assert public(load_private_key(link, RULES)) == public(keys.rsa)


@pytest.mark.parametrize(
    ("mode", "refused_for"),
    [
        (0o400, None),
        (0o600, None),
        (0o640, None),
        (0o440, None),
        (0o750, None),
        (0o660, "changed by its group"),
        (0o644, "read by every user"),
        (0o604, "read by every user"),
        (0o602, "changed by every user"),
        (0o666, "changed by every user"),
    ],
)
def test_modes(key_file: Path, mode: int, refused_for: str | None) -> None:
    key_file.chmod(mode)
    load_private_key(key_file, KeyRules(require_safe=False))
    if refused_for is None:
        load_private_key(key_file, RULES)
    else:
        error = _refusal(key_file)
        assert refused_for in str(error)
        assert f"chmod 640 {key_file}" in str(error)


@pytest.mark.parametrize(
    ("mode", "safe"), [(0o755, True), (0o770, True), (0o1777, True), (0o777, False), (0o757, False)]
)
@pytest.mark.parametrize("depth", [0, 1])
def test_directories_that_others_can_write(
    tmp_path: Path, keys: Keys, mode: int, safe: bool, depth: int
) -> None:
    outer = tmp_path / "outer"
    path = write_key(outer / "inner" / "mail.private", keys.rsa)
    directory = path.parent if depth == 0 else outer
    directory.chmod(mode)
    if safe:
        load_private_key(path, RULES)
    else:
        assert f"can be replaced by every user: chmod o-w {directory}" in str(_refusal(path))


def test_the_directory_of_the_link_and_of_its_target_count(tmp_path: Path, keys: Keys) -> None:
    target = write_key(tmp_path / "there" / "mail.private", keys.rsa)
    link = tmp_path / "here" / "mail.private"
    link.parent.mkdir()
    link.symlink_to(target)
    load_private_key(link, RULES)
    for directory in (target.parent, link.parent):
        directory.chmod(0o777)
        assert f"chmod o-w {directory}" in str(_refusal(link))
        directory.chmod(0o755)


def test_the_command_in_the_message_can_be_pasted(tmp_path: Path, keys: Keys) -> None:
    path = write_key(tmp_path / "it's; mine" / "a b", keys.rsa)
    path.chmod(0o644)
    command = str(_refusal(path)).partition("user: ")[2]
    assert shlex.split(command) == ["chmod", "640", str(path)]


def test_a_name_cannot_forge_a_line(tmp_path: Path) -> None:
    _refusal(tmp_path / "a\nb")


MISSING: dict[str, tuple[Callable[[Path], Path], str]] = {
    "no file": (lambda d: d / "none", "does not exist"),
    "no directory": (lambda d: d / "none" / "none", "does not exist"),
    "below a file": (lambda d: d / "file" / "none", "does not exist"),
    "name too long": (lambda d: d / ("x" * 300), "does not exist"),
    "dangling link": (lambda d: d / "dangling", "symbolic link to a file that does not exist"),
}


@pytest.mark.parametrize("kind", MISSING)
def test_missing(kind: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "dangling").symlink_to("nowhere")
    make, expected = MISSING[kind]
    error = _refusal(make(tmp_path))
    assert isinstance(error, KeyFileMissingError)
    assert expected in str(error)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("directory", "is a directory: name the key file in it"),
        ("fifo", "is not a regular file"),
        ("empty", "is empty"),
        ("blank", "is empty"),
        ("large", "is too large"),
        ("loop", "cannot be read: "),
        ("nul\0", "NUL"),
        ("words", "is not a private key"),
        ("short", "1024 bits"),
    ],
)
def test_unusable(tmp_path: Path, keys: Keys, name: str, expected: str) -> None:
    (tmp_path / "directory").mkdir(mode=0o755)
    os.mkfifo(tmp_path / "fifo", 0o600)
    (tmp_path / "loop").symlink_to("loop")
    content = {
        "empty": b"",
        "blank": b" \r\n",
        "large": pem(keys.rsa) + b"\n" * LARGEST_FILE,
        "words": b"hello",
        "short": pem(keys.short_rsa),
    }
    for file, data in content.items():
        (tmp_path / file).write_bytes(data)
        (tmp_path / file).chmod(0o600)
    error = _refusal(tmp_path / name)
    assert expected in str(error)
    assert not isinstance(error, KeyFileMissingError)


def test_no_permission(key_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str, flags: int) -> int:
        raise PermissionError(13, "Permission denied", path)

    # The tests may run as root, to whom no file is closed.
    monkeypatch.setattr("gatepost.dkim.keys.keyfile._open_without_waiting", refuse)
    text = str(_refusal(key_file))
    assert "cannot be read by user " in text
    assert f"chmod 640 {key_file}" in text
