from __future__ import annotations

import os
from base64 import b64encode
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from gatepost.dkim.keys import keycache
from gatepost.dkim.keys.keycache import KeyCache
from gatepost.dkim.keys.keydata import KeyFormatError, PrivateKey
from gatepost.dkim.keys.keyfile import KeyFileError, KeyFileMissingError, KeyRules, load_private_key
from tests.harness.clock import Seconds
from tests.unit.dkim_keys.conftest import Keys, public, write_key


class Reads:
    """Counts how often files are read."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.paths: list[str] = []
        monkeypatch.setattr(keycache, "load_private_key", self)

    def __call__(self, path: Path, rules: KeyRules) -> PrivateKey:
        self.paths.append(path.name)
        return load_private_key(path, rules)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Reads:
    return Reads(monkeypatch)


@pytest.fixture
def cache(clock: Seconds) -> KeyCache:
    return KeyCache(KeyRules(), clock=clock, size=2, recheck=5.0)


def test_a_file_is_read_once_while_it_does_not_change(
    cache: KeyCache, clock: Seconds, key_file: Path, reads: Reads
) -> None:
    first = cache.get(str(key_file))
    clock.now += 100
    assert cache.get(str(key_file)) is first
    assert reads.paths == [key_file.name]


def test_a_changed_file_gives_the_new_key_after_the_recheck(
    cache: KeyCache, clock: Seconds, key_file: Path, keys: Keys
) -> None:
    first = cache.get(str(key_file))
    write_key(key_file.with_name("new"), keys.other_rsa).replace(key_file)
    clock.now += 4.9
    assert cache.get(str(key_file)) is first
    clock.now += 0.1
    assert public(cache.get(str(key_file))) == public(keys.other_rsa)


def test_a_broken_new_file_leaves_the_old_key_and_is_told(
    cache: KeyCache, clock: Seconds, key_file: Path, keys: Keys
) -> None:
    first = cache.get(str(key_file))
    key_file.write_text("half a k")
    clock.now += 5
    assert cache.get(str(key_file)) is first
    assert [error.path for error in cache.refused_changes()] == [key_file]
    write_key(key_file, keys.ed25519)
    clock.now += 5
    assert public(cache.get(str(key_file))) == public(keys.ed25519)
    assert cache.refused_changes() == []


def test_a_directory_closed_since_leaves_the_old_key_without_a_word(
    cache: KeyCache, clock: Seconds, key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = cache.get(str(key_file))

    def closed(path: str) -> os.stat_result:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "stat", closed)
    clock.now += 5
    assert cache.get(str(key_file)) is first
    assert cache.refused_changes() == []


def test_a_file_that_is_gone_is_gone(cache: KeyCache, clock: Seconds, key_file: Path, keys: Keys) -> None:
    cache.get(str(key_file))
    key_file.unlink()
    clock.now += 5
    with pytest.raises(KeyFileMissingError):
        cache.get(str(key_file))
    write_key(key_file, keys.ed25519)
    assert public(cache.get(str(key_file))) == public(keys.ed25519)


def test_a_missing_file_is_remembered_briefly(
    cache: KeyCache, clock: Seconds, tmp_path: Path, keys: Keys, reads: Reads
) -> None:
    path = tmp_path / "late"
    for _ in range(3):
        with pytest.raises(KeyFileMissingError):
            cache.get(str(path))
    assert reads.paths == ["late"]
    write_key(path, keys.rsa)
    with pytest.raises(KeyFileMissingError):
        cache.get(str(path))
    clock.now += 5
    assert public(cache.get(str(path))) == public(keys.rsa)


def test_a_bad_file_is_tried_again(cache: KeyCache, clock: Seconds, tmp_path: Path, keys: Keys) -> None:
    path = tmp_path / "bad"
    path.write_text("x")
    path.chmod(0o600)
    with pytest.raises(KeyFileError):
        cache.get(str(path))
    write_key(path, keys.rsa)
    clock.now += 5
    assert public(cache.get(str(path))) == public(keys.rsa)


def test_the_key_unused_for_longest_falls_out(
    cache: KeyCache, tmp_path: Path, keys: Keys, reads: Reads
) -> None:
    a, b, c = (str(write_key(tmp_path / name, keys.ed25519)) for name in "abc")
    for path in (a, b, a, c, a, c, b):
        cache.get(path)
    assert reads.paths == ["a", "b", "c", "b"]


def test_invented_names_push_no_key_out(
    cache: KeyCache, tmp_path: Path, key_file: Path, reads: Reads
) -> None:
    cache.get(str(key_file))
    for number in range(50):
        with pytest.raises(KeyFileMissingError):
            cache.get(str(tmp_path / f"none{number}"))
    cache.get(str(key_file))
    assert reads.paths.count(key_file.name) == 1
    assert len(cache._failed) == 2


def test_inline(cache: KeyCache, keys: Keys) -> None:
    der = keys.rsa.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    text = b64encode(der).decode()
    assert public(cache.inline(text)) == public(keys.rsa)
    assert cache.inline(text) is cache.inline(text)
    with pytest.raises(KeyFormatError):
        cache.inline("ключ")
