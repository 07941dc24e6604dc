"""Files with a private key: reading one, and whether it is kept safely."""

from __future__ import annotations

import errno
import grp
import os
import pwd
import shlex
import stat
from dataclasses import dataclass
from pathlib import Path

from gatepost.config.words import printable
from gatepost.dkim.keys.keydata import KeyFormatError, PrivateKey, decode_private_key

LARGEST_FILE = 64 * 1024
"""Octets of the largest file that is read; an RSA key of 8192 bits takes 6.5 kB."""


class KeyFileError(Exception):
    """A key file cannot be used. The message is one line: the file, what is wrong, and what to do about it."""

    def __init__(self, path: Path, text: str) -> None:
        super().__init__(path, text)
        self.path = path
        self.text = text

    def __str__(self) -> str:
        return f"{_shown(self.path)} {self.text}"


class KeyFileMissingError(KeyFileError):
    """There is no such file."""


@dataclass(frozen=True, slots=True)
class KeyRules:
    """What a key has to be like. ``require_safe``: no other user may read or replace it."""

    min_rsa_bits: int = 2048
    require_safe: bool = True


def load_private_key(path: Path, rules: KeyRules) -> PrivateKey:
    """Read the key in the file at *path*, a symbolic link or not; the formats are those of decode_private_key.

    Raises KeyFileMissingError where there is no file, KeyFileError for
    whatever else is wrong with it.
    """
    data = _read(path, rules)
    try:
        return decode_private_key(data, rules.min_rsa_bits)
    except KeyFormatError as error:
        raise KeyFileError(path, str(error)) from None


def _is_missing(error: OSError) -> bool:
    """Whether *error* says that there is no such file, or that none could have that name."""
    return error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG)


def check_safe(path: Path, mode: int) -> None:
    """Raise KeyFileError where other users can read or replace the file at *path*, whose st_mode is *mode*.

    The group may read it, nothing more; a directory on the way that others
    can write lets them replace it, unless it is sticky.
    """
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        done = "changed" if mode & stat.S_IWOTH else "read"
        raise KeyFileError(path, f"can be {done} by every user: chmod 640 {_shell(path)}")
    if mode & stat.S_IWGRP:
        raise KeyFileError(path, f"can be changed by its group: chmod 640 {_shell(path)}")
    for directory in _directories(path):
        try:
            directory_mode = os.stat(directory).st_mode
        except OSError:
            continue  # it was passed a moment ago; nothing that can be judged
        if directory_mode & stat.S_IWOTH and not directory_mode & stat.S_ISVTX:
            raise KeyFileError(path, f"can be replaced by every user: chmod o-w {_shell(directory)}")


def _read(path: Path, rules: KeyRules) -> bytes:
    try:
        with open(path, "rb", opener=_open_without_waiting) as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode):
                raise KeyFileError(path, "is not a regular file: name a key file")
            if rules.require_safe:
                check_safe(path, mode)
            data = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise _unreadable(path, error) from None
    except ValueError:
        raise KeyFileError(path, "is not the name of a file: there is a NUL in it") from None
    if not data.strip():
        raise KeyFileError(path, "is empty: make a key with gatepost keygen")
    if len(data) > LARGEST_FILE:
        raise KeyFileError(path, "is too large to be a key: name a key file")
    return data


def _open_without_waiting(path: str, flags: int) -> int:
    # Otherwise a FIFO would hold up the daemon until somebody writes into it.
    return os.open(path, flags | os.O_NONBLOCK)


def _unreadable(path: Path, error: OSError) -> KeyFileError:
    if isinstance(error, PermissionError):
        text = (
            f"cannot be read by user {_user_name()}: chgrp {_group_name()} {_shell(path)} && chmod 640 {_shell(path)},"
            " and let that group enter the directories above it"
        )
        return KeyFileError(path, text)
    if isinstance(error, IsADirectoryError):
        return KeyFileError(path, "is a directory: name the key file in it")
    if not _is_missing(error):
        return KeyFileError(path, f"cannot be read: {error.strerror}")
    if os.path.islink(path):
        text = "is a symbolic link to a file that does not exist: mend the link"
    else:
        text = "does not exist: correct the name, or make a key with gatepost keygen"
    return KeyFileMissingError(path, text)


def _directories(path: Path) -> list[str]:
    """The directories above the file and above what it is a link to, each once, the nearest first."""
    found: dict[str, None] = {}
    for name in (os.path.abspath(path), os.path.realpath(path)):
        directory = os.path.dirname(name)
        while directory not in found:
            found[directory] = None
            directory = os.path.dirname(directory)
    return list(found)


def _shell(path: Path | str) -> str:
    return shlex.quote(_shown(path))


def _shown(path: Path | str) -> str:
    """*path* whole, where that can stand in one line of a log."""
    text = str(path)
    return text if text.isprintable() else printable(text)


def _user_name() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def _group_name() -> str:
    try:
        return grp.getgrgid(os.getegid()).gr_name
    except KeyError:
        return str(os.getegid())
