"""Becoming the user that the daemon is to run as, for good."""

from __future__ import annotations

import grp
import os
import pwd
from dataclasses import dataclass

from gatepost.service.daemon import ServiceError


@dataclass(frozen=True, slots=True)
class Identity:
    """A user and group to run as. ``name`` is the user's name."""

    name: str
    uid: int
    gid: int


def group_id(group: str) -> int:
    """The number of a group, given by name. Raises ServiceError when there is none."""
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise ServiceError(f"there is no group {group}: create it with `groupadd --system {group}`") from None


def identity(user: str | None, group: str | None) -> Identity | None:
    """Whom the configuration wants us to be; None when it does not say. Raises ServiceError."""
    if user is None:
        if group is not None:
            raise ServiceError(f"`group: {group}` needs a `user:` beside it")
        return None
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        raise ServiceError(
            f"there is no user {user}: create it with `useradd --system --home-dir /nonexistent {user}`"
        ) from None
    return Identity(user, entry.pw_uid, entry.pw_gid if group is None else group_id(group))


def check(wanted: Identity | None) -> None:
    """Raise ServiceError when we are neither *wanted* nor able to become it."""
    if wanted is not None and os.geteuid() not in (0, wanted.uid):
        raise ServiceError(
            f"runs as {_name(os.geteuid())} and cannot become {wanted.name}: "
            "start it as root, or take `user:` out of the configuration"
        )


def drop(wanted: Identity | None) -> None:
    """Become *wanted*, with its groups and no others. Nothing to do when we are already.

    Raises ServiceError when that fails, or when the way back to root stays open.
    """
    if wanted is None or os.geteuid() == wanted.uid:
        return
    check(wanted)
    try:
        os.initgroups(wanted.name, wanted.gid)
        os.setresgid(wanted.gid, wanted.gid, wanted.gid)
        os.setresuid(wanted.uid, wanted.uid, wanted.uid)
    except OSError as error:
        raise ServiceError(f"cannot become {wanted.name}: {error.strerror}") from error
    if wanted.uid != 0 and _can_return():
        raise ServiceError(f"could become root again after becoming {wanted.name}: not going on")


def _can_return() -> bool:
    try:
        os.setuid(0)
    except OSError:
        return 0 in os.getresuid()
    return True


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
