"""The private directory in which the workers of one daemon count."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from gatepost.service.daemon import ServiceError
from gatepost.service.privileges import Identity


def make_directory(daemon: str, environment: Mapping[str, str], owner: Identity | None) -> Path:
    """An empty directory for *daemon*, open to its own user alone. Raises ServiceError.

    It lies in systemd's RUNTIME_DIRECTORY, where what an earlier run left is
    cleared away, or else among the temporary files.
    """
    runtime = environment.get("RUNTIME_DIRECTORY", "").split(":")[0]
    try:
        if runtime:
            path = Path(runtime, f"metrics-{daemon}")
            shutil.rmtree(path, ignore_errors=True)
            path.mkdir(mode=0o700)
        else:
            path = Path(tempfile.mkdtemp(prefix=f"gatepost-{daemon}-"))
        path.chmod(0o700)  # whatever the umask
        if owner is not None and os.geteuid() == 0:
            os.chown(path, owner.uid, owner.gid, follow_symlinks=False)
    except OSError as error:
        place = runtime or tempfile.gettempdir()
        raise ServiceError(f"cannot make a directory in {place}: {error.strerror}") from error
    return path


def remove_directory(path: Path) -> None:
    """Remove it with all it holds, as far as we still may."""
    shutil.rmtree(path, ignore_errors=True)
