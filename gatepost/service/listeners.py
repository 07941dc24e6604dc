"""The sockets a daemon listens on: bound by us, or taken over from systemd.

They outlive the workers. A reload keeps those that are still wanted, binds
what is new and closes the rest, so that no connection is refused meanwhile.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gatepost.config.addresses import HostAndPort, SocketAddress
from gatepost.service.activation import Inherited
from gatepost.service.daemon import ServiceError
from gatepost.service.privileges import Identity, group_id

BACKLOG = 1024
"""Connections that may wait to be accepted; the kernel cuts it to net.core.somaxconn."""

DEFAULT_MODE = 0o660
"""Who may connect to a unix socket when the configuration does not say: its owner and its group."""

_USUAL_OWNER = {
    8891: "opendkim",
    8892: "opendkim",
    8893: "opendmarc",
    8894: "opendmarc",
    12301: "opendkim",
    54321: "opendmarc",
    10023: "postgrey",
}


@dataclass(slots=True)
class Listener:
    """One listening socket.

    ``made`` identifies the file of a unix socket that we created (device, inode),
    ``access`` is the mode and group it was given.
    """

    address: str
    socket: socket.socket
    path: Path | None = None
    made: tuple[int, int] | None = None
    access: tuple[int | None, str | None] = (None, None)
    from_systemd: bool = False

    def close(self) -> None:
        """Close our descriptor and remove the socket's file, if it is still the one that we made."""
        self.socket.close()
        if self.path is not None and self.made is not None:
            # Not allowed (the directory is root's and we are no longer): the next start replaces it.
            with contextlib.suppress(OSError):
                status = os.lstat(self.path)
                if (status.st_dev, status.st_ino) == self.made:
                    os.unlink(self.path)


def _in_use(host: str, port: int) -> str:
    known = _USUAL_OWNER.get(port)
    hint = f"is {known} still running? see" if known else "see who has it:"
    return f"address {host}:{port} is in use ({hint} `ss -ltnp sport = :{port}`)"


def bind_inet(family: int, host: str, port: int) -> socket.socket:
    """A listening TCP socket on *host* (``*`` for all addresses). Raises ServiceError."""
    name = None if host in ("", "*") else host
    try:
        found = socket.getaddrinfo(name, port, family, socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise ServiceError(f"cannot listen on {host}: {error.strerror}") from error
    listening = socket.socket(found[0][0], socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if listening.family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.bind(found[0][4])
        listening.listen(BACKLOG)
        listening.setblocking(False)
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            text = _in_use(host, port)
        elif error.errno == errno.EADDRNOTAVAIL:
            text = f"{host} is no address of this host: see `ip address`"
        elif error.errno in (errno.EACCES, errno.EPERM):
            text = f"no permission for port {port}: take one from 1024 up, or let systemd open it"
        else:
            text = f"cannot listen on {host}:{port}: {error.strerror}"
        raise ServiceError(text) from error
    return listening


def _clear_the_way(path: Path) -> None:
    """Remove a socket file that nobody listens on. Raises ServiceError for anything else that is there."""
    try:
        status = os.lstat(path)
    except OSError:
        return  # nothing there; or not allowed to see it, which bind will tell
    if not stat.S_ISSOCK(status.st_mode):
        raise ServiceError(f"{path} exists and is no socket: move it away, or choose another path")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            os.unlink(path)
        except FileNotFoundError:
            return
        except BlockingIOError:
            raise ServiceError(
                f"another process listens on {path} and does not keep up: stop it first"
            ) from None
        else:
            raise ServiceError(
                f"another process listens on {path} (this daemon, already? see `ss -lxp src {path}`)"
            )


def _failure_at(path: Path, error: OSError) -> ServiceError:
    directory = path.parent
    if error.errno == errno.ENOENT:
        return ServiceError(f"cannot make {path}: there is no directory {directory}: create it")
    if error.errno in (errno.EACCES, errno.EPERM):
        return ServiceError(
            f"cannot make {path}: no permission: give {directory} to the user that the daemon starts as"
        )
    return ServiceError(f"cannot make {path}: {error.strerror}")


def bind_unix(path: Path, mode: int | None, group: str | None, owner: Identity | None) -> Listener:
    """A listening unix socket, reachable by nobody until its mode and group are as they should be.

    A file that a dead daemon left is replaced. Raises ServiceError.
    """
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _clear_the_way(path)
        before = os.umask(0o177)
        try:
            listening.bind(str(path))
        finally:
            os.umask(before)
        listener = Listener(f"unix:{path}", listening, path, _file_identity(path), (mode, group))
        set_access(path, mode, group, owner)
        listening.listen(BACKLOG)
        listening.setblocking(False)
    except OSError as error:
        listening.close()
        raise _failure_at(path, error) from error
    except ServiceError:
        listening.close()
        raise
    return listener


def _file_identity(path: Path) -> tuple[int, int]:
    status = os.lstat(path)
    return status.st_dev, status.st_ino


def set_access(path: Path, mode: int | None, group: str | None, owner: Identity | None) -> None:
    """Say who may connect to the unix socket at *path*. Raises ServiceError."""
    uid = -1 if owner is None or os.geteuid() != 0 else owner.uid
    gid = group_id(group) if group is not None else (-1 if uid == -1 or owner is None else owner.gid)
    try:
        if (uid, gid) != (-1, -1):
            os.chown(path, uid, gid, follow_symlinks=False)
    except OSError as error:
        raise ServiceError(
            f"cannot give {path} to group {group or gid}: {error.strerror}: "
            "start as root, or put the daemon's user into that group"
        ) from error
    try:
        _set_mode(path, DEFAULT_MODE if mode is None else mode)
    except OSError as error:
        raise _failure_at(path, error) from error


def _set_mode(path: Path, mode: int) -> None:
    """Set the mode of the socket at *path*: not of what a link leads to that was put there meanwhile."""
    descriptor = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            raise ServiceError(f"{path} was replaced while it was made: see who else writes to {path.parent}")
        # chmod(2) itself cannot be kept from following links; the descriptor is past that.
        os.chmod(f"/proc/self/fd/{descriptor}", mode)
    finally:
        os.close(descriptor)


def bind(address: SocketAddress, owner: Identity | None) -> Listener:
    """Listen on *address*. Raises ServiceError."""
    if address.family == "unix":
        listener = bind_unix(Path(address.path), address.mode, address.group, owner)
        listener.address = str(address)
        return listener
    family = socket.AF_INET6 if address.family == "inet6" else socket.AF_INET
    return Listener(str(address), bind_inet(family, address.host, address.port))


def bind_metrics(address: HostAndPort) -> Listener:
    """Listen on the metrics address. Raises ServiceError."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    return Listener(str(address), bind_inet(family, address.host, address.port))


def moving(listeners: Iterable[Listener], port: int, error: ServiceError) -> ServiceError:
    """Why *port* could not be had: *error*, or that it is one of *listeners* that has it, on another address."""
    for listener in listeners:
        if listener.socket.family != socket.AF_UNIX and listener.socket.getsockname()[1] == port:
            return ServiceError(
                f"port {port} is in use by this daemon itself, as {listener.address}: "
                "to move it to another address, restart the daemon"
            )
    return error


class Listeners:
    """All listening sockets of a daemon, by address. Those from systemd stay for good."""

    def __init__(self, inherited: Iterable[Inherited] = ()) -> None:
        self._open: dict[str, Listener] = {}
        self.unasked: list[str] = []
        """Addresses that came from systemd and that the configuration does not name."""
        for entry in inherited:
            self._open[entry.address] = Listener(entry.address, entry.socket, from_systemd=True)

    @property
    def all(self) -> list[Listener]:
        """Every socket that is open."""
        return list(self._open.values())

    def open(self, addresses: Sequence[SocketAddress], owner: Identity | None) -> list[Listener]:
        """The listeners for *addresses*, those from systemd included; binds what is missing.

        When one cannot be bound, those bound on the way are closed again and
        ServiceError is raised: all as before.
        """
        wanted: dict[str, Listener] = {}
        fresh: list[Listener] = []
        try:
            for address in addresses:
                key = str(address)
                known = self._open.get(key)
                if known is None:
                    try:
                        known = bind(address, owner)
                    except ServiceError as error:
                        raise moving(self.all, address.port, error) from error
                    fresh.append(known)
                elif known.path is not None and known.access != (address.mode, address.group):
                    set_access(known.path, address.mode, address.group, owner)
                    known.access = (address.mode, address.group)
                wanted[key] = known
        except ServiceError:
            for listener in fresh:
                listener.close()
            raise
        self.unasked = [key for key, known in self._open.items() if known.from_systemd and key not in wanted]
        for key in self.unasked:
            wanted[key] = self._open[key]
        self._open.update(wanted)
        return list(wanted.values())

    def keep_only(self, wanted: Iterable[Listener]) -> None:
        """Close all but *wanted*."""
        kept = {id(listener) for listener in wanted}
        for key, listener in list(self._open.items()):
            if id(listener) not in kept:
                listener.close()
                del self._open[key]

    def close(self) -> None:
        """Close all, and remove the files that we made."""
        self.keep_only(())
