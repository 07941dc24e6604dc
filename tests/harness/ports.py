"""Free ports on the loopback address."""

from __future__ import annotations

import os
import random
import socket
from pathlib import Path

LOOPBACK = "127.0.0.1"

# Below the range from which the kernel takes the ports of outgoing connections (32768 and up), so
# that no client in the same test can sit on a port between its choice here and the server's bind().
_FIRST, _LAST = 20_000, 32_000

# Pytest's parallel workers (pytest-xdist) choose from different ports, so that none takes what another has chosen.
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))

_LISTEN = "0A"

_choice = random.Random(os.getpid())
_given: set[int] = set()


def free_port() -> int:
    """A TCP port of 127.0.0.1 that is free now, and is given to nobody else in this process or another worker."""
    for _ in range(1000):
        port = _choice.randrange(_FIRST + _WORKER, _LAST, _WORKERS)
        if port in _given:
            continue
        with socket.socket() as probe:
            # Without it, a port that served the test before would look taken for a minute (TIME_WAIT).
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
        _given.add(port)
        return port
    raise OSError("no free port on the loopback address")


def listening(port: int) -> bool:
    """Whether somebody listens on TCP *port* over IPv4.

    Asked of the kernel's table: a probing connection would be an event for the server under test.
    """
    wanted = f":{port:04X}"
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, _, state = line.split(maxsplit=4)[:4]
        if state == _LISTEN and local.endswith(wanted):
            return True
    return False
