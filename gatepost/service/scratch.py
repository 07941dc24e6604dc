"""The private directory in which the workers of one daemon count."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from gatepost.service.daemon import ServiceError
from gatepost.service.privileges import Identity


@contextmanager
def directory(daemon: str, environment: Mapping[str, str], owner: Identity | None) -> Iterator[Path]:
    """An empty directory for *daemon*, open to its own user alone, and gone afterwards. Raises ServiceError.

    It lies in systemd's RUNTIME_DIRECTORY, or else among the temporary files.
    What an earlier run left, because it was killed, is cleared away first; and
    in the end, should its last worker have lived on until now.
    """
    runtime = environment.get("RUNTIME_DIRECTORY", "").split(":")[0]
    user = owner.uid if owner is not None and os.geteuid() == 0 else os.geteuid()
    prefix = f"gatepost-{daemon}-"
    lock = -1
    try:
        if runtime:
            path = Path(runtime, f"metrics-{daemon}")
            shutil.rmtree(path, ignore_errors=True)
            path.mkdir(mode=0o700)
        else:
            _sweep(prefix, {user, os.geteuid()})
            path, lock = _make_locked(prefix)
        path.chmod(0o700)  # whatever the umask
        if user != os.geteuid() and owner is not None:
            os.chown(path, owner.uid, owner.gid, follow_symlinks=False)
    except OSError as error:
        place = runtime or tempfile.gettempdir()
        raise ServiceError(f"cannot make a directory in {place}: {error.strerror}") from error
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)  # as far as we still may
        if not runtime:
            with suppress(OSError):
                _sweep(prefix, {user})
        if lock >= 0:
            os.close(lock)


def _make_locked(prefix: str) -> tuple[Path, int]:
    """A new directory among the temporary files, and the descriptor that keeps it from being swept.

    Its lock is the workers' too, and ends with the last process that has it (flock(2)).
    """
    while True:
        path = Path(tempfile.mkdtemp(prefix=prefix))
        try:
            path.chmod(0o700)
            return path, _lock(path)
        except (FileNotFoundError, BlockingIOError):
            continue  # another daemon of this name swept it before it had its lock
        except OSError:
            return path, -1  # no locks on this file system, and so no sweeping


def _sweep(prefix: str, users: set[int]) -> None:
    """Remove what *users* have there under such names and no process has locked."""
    for name in os.listdir(tempfile.gettempdir()):
        if not name.startswith(prefix):
            continue
        path = Path(tempfile.gettempdir(), name)
        try:
            lock = _lock(path)
        except OSError:
            continue
        facts = os.fstat(lock)
        if facts.st_uid in users and stat.S_IMODE(facts.st_mode) == 0o700:
            shutil.rmtree(path, ignore_errors=True)
        os.close(lock)


def _lock(path: Path) -> int:
    """A descriptor that holds the lock of the directory *path*.

    Raises BlockingIOError where another has it, FileNotFoundError where the
    directory is gone, OSError where it cannot be locked.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not os.path.samestat(os.fstat(descriptor), os.stat(path)):
            raise FileNotFoundError(path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
