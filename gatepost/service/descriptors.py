"""How many descriptors a process may open: as many as we are allowed.

What is usual (1,024) is meant for programs that use select(2), and is less than
``limits.connections`` connections need with a DNS question for each of them.
"""

from __future__ import annotations

import resource


def raise_limit() -> None:
    """Raise the soft limit (getrlimit(2)) to the hard one. What cannot be raised stays as it is."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError):
        pass  # not allowed, or more than the system has
