"""Free ports on the loopback address, and who listens there."""

from __future__ import annotations

import random
import socket
from pathlib import Path

LOOPBACK = "127.0.0.1"

# Below the range from which the kernel takes the ports of outgoing connections (32768 and up), so
# that no client in the same test can sit on a port between its choice here and the server's bind().
_FIRST, _LAST = 20_000, 32_000
_BLOCK = 100

_LISTEN = "0A"
_ACCEPTS = 0x10000  # __SO_ACCEPTCON, among the flags of /proc/net/unix

_choice = random.Random()
_blocks: list[int] = []
_left: list[int] = []


def free_port() -> int:
    """A TCP port of 127.0.0.1 that is free now, and that no other process on this machine is given here.

    The first of two servers on one port would not even notice: Postfix shares its ports (SO_REUSEPORT).
    """
    while True:
        if not _left:
            _left.extend(_block())
        port = _left.pop()
        with socket.socket() as probe:
            # Without it, a port that served the test before would look taken for a minute (TIME_WAIT).
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
        return port


def _block() -> list[int]:
    """Ports for this process alone, in a random order. Raises OSError when all are taken.

    Who has a block has a unix socket of its name, which the kernel takes back when the process ends.
    """
    starts = range(_FIRST, _LAST, _BLOCK)
    for start in _choice.sample(starts, len(starts)):
        name = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            name.bind(f"\0gatepost-test-ports-{start}")
        except OSError:
            name.close()
            continue
        _blocks.append(name.detach())
        return _choice.sample(range(start, start + _BLOCK), _BLOCK)
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


def listening_at(path: Path) -> bool:
    """Whether somebody listens on the unix socket *path*. Asked of the kernel's table as well.

    That there is a file says less: it comes with bind(), and connections are refused up to listen().
    """
    for line in Path("/proc/net/unix").read_text().splitlines()[1:]:
        fields = line.split(maxsplit=7)
        if len(fields) == 8 and fields[7] == str(path) and int(fields[3], 16) & _ACCEPTS:
            return True
    return False
