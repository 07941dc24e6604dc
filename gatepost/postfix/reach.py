"""Whether Postfix, as the user it runs as, can get to a unix socket and write to it."""

from __future__ import annotations

import os
import pwd
import stat
from dataclasses import dataclass
from typing import NamedTuple


class Obstacle(NamedTuple):
    """What is in the way: ``missing`` is a socket that is not there, as while its daemon is down."""

    missing: bool
    text: str
    mend: str = ""


@dataclass(frozen=True, slots=True)
class Reacher:
    """Looks at paths with the eyes of *user*, who is not root; asks the file system, and no one else."""

    user: str
    uid: int
    groups: frozenset[int]

    def obstacle(self, path: str) -> Obstacle | None:
        """What keeps the user from the socket at *path*; None where nothing does, or where we may not look."""
        try:
            for directory in _parents(path):
                status = os.stat(directory)
                if not self._may(status, stat.S_IXUSR):
                    owner, group = status.st_uid, status.st_gid
                    text = f"the user {self.user} cannot enter {directory} (owner {owner}, group {group})"
                    return Obstacle(False, text, f"chmod o+x {directory}")
            status = os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            return Obstacle(True, f"{path} is not there: is the daemon running?")
        except OSError:
            return None
        if not stat.S_ISSOCK(status.st_mode):
            return Obstacle(False, f"{path} is no socket")
        if not self._may(status, stat.S_IWUSR):
            text = f"the user {self.user} cannot write to {path}"
            line = f'{{address: "unix:{path}", mode: "0660", group: {self.user}}}'
            return Obstacle(False, text, f"socket: {line} (gatepost.yaml)")
        return None

    def can_read(self, path: str) -> bool:
        """Whether the user can read the file at *path*; True as well where there is none, or where we may not look."""
        try:
            real = os.path.realpath(path)
            if not all(self._may(os.stat(directory), stat.S_IXUSR) for directory in _parents(real)):
                return False
            return self._may(os.stat(real), stat.S_IRUSR)
        except OSError:
            return True

    def _may(self, status: os.stat_result, bit: int) -> bool:
        """Whether a permission, given as that of the owner, is the user's."""
        if status.st_uid == self.uid:
            return bool(status.st_mode & bit)
        if status.st_gid in self.groups:
            return bool(status.st_mode & (bit >> 3))
        return bool(status.st_mode & (bit >> 6))


def _parents(path: str) -> list[str]:
    """The directories above *path*, from the root down."""
    parents = []
    parent = os.path.dirname(path)
    while parent not in ("", "/"):
        parents.append(parent)
        parent = os.path.dirname(parent)
    return parents[::-1]


def reacher(user: str) -> Reacher | None:
    """The eyes of *user*; None where there is no such user here."""
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        return None
    # Postfix takes all groups of its user (initgroups(3)).
    return Reacher(user, entry.pw_uid, frozenset(os.getgrouplist(user, entry.pw_gid)))
