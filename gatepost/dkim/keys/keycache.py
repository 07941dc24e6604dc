"""Keys that were read once, and are read again only when their file changes."""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from gatepost.dkim.keys.keydata import PrivateKey, decode_private_key
from gatepost.dkim.keys.keyfile import (
    KeyFileError,
    KeyFileMissingError,
    KeyRules,
    load_private_key,
)
from gatepost.dkim.keys.source import NamedKey

_Stamp = tuple[int, int, int, int]


class _Loaded:
    """A key, the file's state when it was read, and when (by the cache's clock) that was last compared."""

    __slots__ = ("checked", "key", "refused", "stamp")

    def __init__(self, key: PrivateKey, stamp: _Stamp | None, checked: float) -> None:
        self.key = key
        self.stamp = stamp
        self.checked = checked
        self.refused: KeyFileError | None = None


class KeyCache:
    """The keys used last, at most *size*, and as many files found wanting.

    A file is looked at again when the last look is *recheck* seconds old by
    *clock*. What was read stays in use while a changed file cannot be read or
    makes no sense: it may be half written, or readable only to root, whom the
    daemon no longer is. A file that is gone is gone.
    """

    def __init__(
        self,
        rules: KeyRules,
        *,
        clock: Callable[[], float] = time.monotonic,
        size: int = 10_000,
        recheck: float = 5.0,
    ) -> None:
        self.rules = rules
        self._clock = clock
        self._size = size
        self._recheck = recheck
        self._loaded: OrderedDict[str, _Loaded] = OrderedDict()
        # Apart from the keys, so that invented senders cannot push those out.
        self._failed: OrderedDict[str, tuple[KeyFileError, float]] = OrderedDict()
        self._inline: OrderedDict[str, PrivateKey] = OrderedDict()

    def get(self, path: str) -> PrivateKey:
        """Give the key in the file at *path*.

        Raises KeyFileMissingError where there is no file, KeyFileError where it cannot be used.
        """
        now = self._clock()
        loaded = self._loaded.pop(path, None)
        if loaded is not None:
            if now - loaded.checked >= self._recheck:
                loaded = self._look_again(path, loaded, now)
            self._loaded[path] = loaded
            return loaded.key
        failed = self._failed.get(path)
        if failed is not None and now - failed[1] < self._recheck:
            # A new object each time: a raised one holds on to its frames.
            raise type(failed[0])(failed[0].path, failed[0].text)
        try:
            loaded = self._read(path, now)
        except KeyFileError as error:
            self._remember(path, error, now)
            raise
        self._failed.pop(path, None)
        self._loaded[path] = loaded
        if len(self._loaded) > self._size:
            self._loaded.popitem(last=False)
        return loaded.key

    def inline(self, text: str) -> PrivateKey:
        """Give the key that *text* itself is. Raises KeyFormatError."""
        key = self._inline.pop(text, None)
        if key is None:
            key = decode_private_key(text.encode("utf-8"), self.rules.min_rsa_bits)
        self._inline[text] = key
        if len(self._inline) > self._size:
            self._inline.popitem(last=False)
        return key

    def named(self, domain: str, selector: str, path: str) -> NamedKey:
        """The key in the file at *path*, or what is wrong with it, as one that signs for *domain*."""
        try:
            return NamedKey(domain, selector, path, self.get(path))
        except KeyFileError as error:
            return NamedKey(domain, selector, path, None, str(error))

    def refused_changes(self) -> list[KeyFileError]:
        """What is wrong with files that have changed, and whose former key is still in use."""
        return [loaded.refused for loaded in self._loaded.values() if loaded.refused is not None]

    def _read(self, path: str, now: float) -> _Loaded:
        # First the state, then the key: if the file changes in between, the next look sees it.
        try:
            stamp = _stamp(path)
        except OSError:
            stamp = None  # reading it says what is wrong
        return _Loaded(load_private_key(Path(path), self.rules), stamp, now)

    def _look_again(self, path: str, loaded: _Loaded, now: float) -> _Loaded:
        """Give what is to be used from now on. Raises KeyFileMissingError."""
        try:
            changed = _stamp(path) != loaded.stamp
        except PermissionError:
            changed = False  # the directory is closed to us, now that root's rights are given up
        except OSError:
            changed = True
        loaded.checked = now
        loaded.refused = None
        if changed:
            try:
                return self._read(path, now)
            except KeyFileMissingError:
                raise
            except KeyFileError as error:
                loaded.refused = KeyFileError(error.path, error.text)
        return loaded

    def _remember(self, path: str, error: KeyFileError, now: float) -> None:
        self._failed[path] = (type(error)(error.path, error.text), now)
        self._failed.move_to_end(path)
        if len(self._failed) > self._size:
            self._failed.popitem(last=False)


def _stamp(path: str) -> _Stamp:
    """What changes when the file does. Raises OSError."""
    status = os.stat(path)
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size
