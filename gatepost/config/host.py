"""What a configuration is checked against beside itself: this host."""

from __future__ import annotations

import grp
import importlib.util
import pwd
import socket
from collections.abc import Callable
from dataclasses import dataclass


def _name() -> str:
    """The host's full name; only a short one is looked up, as that may take a while when DNS is down."""
    name = socket.gethostname()
    if "." in name:
        return name
    full = socket.getfqdn(name)
    # Where nobody knows the name, "localhost" may come back.
    return full if full.startswith(f"{name}.") else name


def _user_exists(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except (KeyError, ValueError):
        return False
    return True


def _group_exists(name: str) -> bool:
    try:
        grp.getgrnam(name)
    except (KeyError, ValueError):
        return False
    return True


def _has_pymilter() -> bool:
    return importlib.util.find_spec("Milter") is not None


@dataclass(frozen=True, slots=True)
class Host:
    """Facts about a host, each asked for when needed."""

    name: Callable[[], str] = _name
    """Its full host name; the short one where it has no other."""
    user_exists: Callable[[str], bool] = _user_exists
    group_exists: Callable[[str], bool] = _group_exists
    has_pymilter: Callable[[], bool] = _has_pymilter
