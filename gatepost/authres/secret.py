"""The secret under which results are sealed: a file that all daemons of a host share."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

LENGTH = 32
"""Octets of a new secret, and the fewest that an existing one may have."""

MAX_LENGTH = 4096
"""Octets of the longest file that is taken for a secret."""


class SecretError(Exception):
    """There is no usable secret. The text is one line that says what to do."""


def load(path: Path) -> bytes:
    """Read the secret that daemons use already, and make none: theirs would no longer be believed.

    Raises :class:`SecretError` as :func:`load_or_create` does, and where there is no file.
    """
    try:
        return _load(path)
    except FileNotFoundError:
        raise SecretError(
            f"{path}: the seal secret is gone: put it back, or restart all daemons to make a new one"
        ) from None


def look(path: Path) -> bytes:
    """Read the secret, or give any octets where a start would make one. Changes nothing.

    Raises :class:`SecretError` as :func:`load_or_create` would, as far as that can be told by looking.
    """
    try:
        return _load(path)
    except FileNotFoundError:
        pass
    directory = path.parent
    while not directory.exists():
        directory = directory.parent
    if not directory.is_dir():
        raise _cannot_make(path, os.strerror(errno.ENOTDIR))
    if not os.access(directory, os.W_OK | os.X_OK, effective_ids=True):
        raise _cannot_make(path, os.strerror(errno.EACCES))
    return bytes(LENGTH)


def load_or_create(path: Path, group: int | None = None) -> bytes:
    """Read the secret, and make one first if there is no such file.

    *group* is the number of the group that a new file, and the directory made
    for it, belong to: that of the daemons, where the caller is still root. Root
    without a *group* (checking what others run) gives the file to whoever owns
    the directory.

    A new file has mode 0640 and comes into being whole: of several daemons
    that start at once, one makes it and all read the same. A missing directory
    is made with mode 0750. Raises :class:`SecretError` for a file that is too
    short or too long, that users outside its group can read or write, or that
    cannot be read or made.
    """
    try:
        return _load(path)
    except FileNotFoundError:
        pass
    try:
        _create(path, group)
    except OSError as error:
        raise _cannot_make(path, error.strerror) from None
    try:
        return _load(path)
    except FileNotFoundError:
        raise SecretError(f"{path}: vanished while it was made: start the daemon again") from None


def _cannot_make(path: Path, why: str | None) -> SecretError:
    return SecretError(
        f"{path}: cannot make the seal secret: {why}: "
        f"let the daemon's user write to {path.parent}, or make the file with "
        f"'openssl rand -out {path} {LENGTH}' (mode 0640, group of the daemons)"
    )


def _load(path: Path) -> bytes:
    """Read and check the file. FileNotFoundError is the caller's to handle."""
    try:
        with open(path, "rb", opener=_open) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise SecretError(f"{path}: not a regular file: name another file as seal_secret")
            if status.st_mode & stat.S_IRWXO:
                raise SecretError(f"{path}: open to every user of this host: 'chmod o= {path}'")
            secret = file.read(MAX_LENGTH + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise SecretError(
            f"{path}: cannot read the seal secret: {error.strerror}: "
            f"let the group of the daemons read it ('chgrp GROUP {path}; chmod 0640 {path}')"
        ) from None
    if len(secret) < LENGTH:
        raise SecretError(
            f"{path}: {len(secret)} octets are too few for a secret, {LENGTH} are needed: "
            "remove the file, and the next start makes a new one"
        )
    if len(secret) > MAX_LENGTH:
        raise SecretError(f"{path}: longer than {MAX_LENGTH} octets: this is no secret; name another file")
    return secret


def _open(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # a FIFO must not hold up the start


def _create(path: Path, group: int | None) -> None:
    """Put a new secret at *path*, unless there is a file by then. Raises OSError."""
    if not path.parent.exists():
        path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        _give(path.parent, group)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
    try:
        with open(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o640)  # whatever the umask
            if group is None:
                _leave_to_owner(descriptor, path.parent)
            _give(descriptor, group)
            file.write(secrets.token_bytes(LENGTH))
            file.flush()
            os.fsync(descriptor)
        # link, not rename: it never replaces the file of another daemon that was faster.
        with suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _give(place: Path | int, group: int | None) -> None:
    if group is not None and os.geteuid() == 0:
        os.chown(place, -1, group)


def _leave_to_owner(descriptor: int, directory: Path) -> None:
    status = os.stat(directory)
    if os.geteuid() == 0 and status.st_uid != 0:
        os.chown(descriptor, status.st_uid, status.st_gid)
