"""What a configuration meets on this host and cannot tell by itself: sockets, and who can read which file.

Only what can be known by looking is told, and as a warning: systemd may make a
directory first, and what has a port today may be gone tomorrow.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from gatepost.config.addresses import SocketAddress
from gatepost.config.dkim_settings import DkimSign
from gatepost.config.errors import ConfigError, Problem
from gatepost.config.greylist_settings import Greylist
from gatepost.config.load import Loaded
from gatepost.config.sections import Daemon
from gatepost.dkim.keys.sources import build
from gatepost.postfix.reach import reacher

_SIGNER, _OTHERS = "gatepost-sign", "gatepost"
"""The users of systemd's units (``systemd/``)."""
_MOST_KEYS = 20
"""Of the keys in tables, how many are looked at: where the first can be read, so can the others."""
_LISTENING = "0A"  # TCP_LISTEN, in /proc/net/tcp (proc(5))


def outlook(loaded: Loaded, proc: Path = Path("/proc")) -> Iterator[Problem]:
    """Warnings for all daemons of a configuration, each with the place of its option."""
    for name, daemon in loaded.config.daemons.items():
        for number, address in enumerate(daemon.socket):
            key = (
                f"daemons.{name}.socket"
                if len(daemon.socket) == 1
                else f"daemons.{name}.socket[{number + 1}]"
            )
            if text := _socket(address, proc):
                yield loaded.locate(Problem("", 0, 0, key, text))
        if daemon.metrics and (text := _port(daemon.metrics.port, proc)):
            yield loaded.locate(Problem("", 0, 0, f"daemons.{name}.metrics", text))
        yield from _files(loaded, name, daemon)
        yield from _password(loaded, name, daemon)


def _password(loaded: Loaded, name: str, daemon: Daemon) -> Iterator[Problem]:
    """A password in a file that everybody can read."""
    if not isinstance(daemon, Greylist) or daemon.store.kind != "redis":
        return
    if urlsplit(daemon.store.value).password and os.stat(loaded.file).st_mode & stat.S_IROTH:
        text = f"holds a password, and every user can read it: chmod o= {loaded.file}"
        yield loaded.locate(Problem("", 0, 0, f"daemons.{name}.store", text))


def _socket(address: SocketAddress, proc: Path) -> str:
    if address.family != "unix":
        return _port(address.port, proc)
    path = Path(address.path)
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            return f"{path} exists and is no socket: move it away, or choose another path"
    except FileNotFoundError:
        if not path.parent.is_dir():
            return f"there is no directory {path.parent}: create it, or let systemd (RuntimeDirectory=)"
    except OSError:
        pass  # not for us to see
    return ""


def _port(port: int, proc: Path) -> str:
    """Who else has a TCP port; "" for nobody, for daemons of ours, for systemd, and where we may not see it."""
    inodes = set(_listeners(port, proc))
    holder = _holder(inodes, proc) if inodes else ""
    return f"{holder} listens on port {port}: stop it first, or choose another port" if holder else ""


def _listeners(port: int, proc: Path) -> Iterator[str]:
    """The socket inodes that listen on *port*, on whatever address."""
    for table in ("net/tcp", "net/tcp6"):
        try:
            lines = (proc / table).read_text("ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                yield fields[9]


def _holder(inodes: set[str], proc: Path) -> str:
    """The name of a process that has one of the sockets, unless it is one of ours or systemd."""
    wanted = {f"socket:[{inode}]" for inode in inodes}
    holder = ""
    for process in proc.glob("[0-9]*"):
        try:
            if not any(os.readlink(each) in wanted for each in (process / "fd").iterdir()):
                continue
            words = (process / "cmdline").read_bytes().split(b"\0")
            name = (process / "comm").read_text("utf-8", "replace").strip()
        except OSError:
            continue  # gone, or not ours to look at
        if name == "systemd" or any(os.path.basename(word) == b"gatepost" for word in words):
            return ""
        holder = f"{name} (process {process.name})"
    return holder


def _files(loaded: Loaded, name: str, daemon: Daemon) -> Iterator[Problem]:
    """What the daemon cannot read: as the user that it becomes, or as that of its unit, where there is such a user."""
    user = daemon.user or loaded.config.user
    unit = _SIGNER if isinstance(daemon, DkimSign) else _OTHERS
    eyes = reacher(user or unit) if user != "root" else None
    if eyes is None:
        return
    for key, path in _read_again(loaded, name, daemon):
        if not eyes.can_read(str(path)):
            when = (
                "it is read at the start, by root, and a reload will fail"
                if user
                else f"gatepost@{name} runs as that one"
            )
            text = f"{path}: the user {eyes.user} cannot read it: {when}; give its group the right to read it"
            yield loaded.locate(Problem("", 0, 0, key, text))


def _read_again(loaded: Loaded, name: str, daemon: Daemon) -> Sequence[tuple[str, Path]]:
    files = [(f"daemons.{name}", Path(loaded.file))]
    if loaded.config.dns.zone is not None:
        files.append(("dns.zone", loaded.config.dns.zone))
    if isinstance(daemon, DkimSign):
        keys = enumerate(daemon.keys, 1)
        files += [(f"daemons.{name}.keys[{number}].file", entry.file) for number, entry in keys]
        known = {path for _, path in files}
        files += [(f"daemons.{name}", path) for path in _of_sources(daemon) if path not in known]
    return files


def _of_sources(daemon: DkimSign) -> Sequence[Path]:
    """The tables, and the keys that they name."""
    try:
        sources = build(daemon)
    except ConfigError:
        return []  # told as what would keep the daemon from starting
    return [*sources.watched_files(), *(Path(place.file) for place in sources.places(_MOST_KEYS))]
