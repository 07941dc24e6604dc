"""A machine of its own for a whole mail server, without leaving this one.

``unshare`` gives a process its own mounts, network, host name and process
numbers. In there the loopback interface bears the addresses of the server and
of the world, and /etc, /var, /run and /tmp are private: writes go to memory and
are gone with the last process. So servers have the ports, paths and users that
they have at home, configuration is written where its readers expect it, no packet
leaves, and nothing on the host changes.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

HOSTNAME, DOMAIN = "mail.example.nl", "example.nl"
ADDRESS = "203.0.113.10"
"""Of the mail server, as the world knows it."""

WORLD = ("192.0.2.0/24", "198.51.100.0/24")
"""Every address of these networks is at home here, for the servers and senders of the world (RFC 5737)."""

INSIDE = "GATEPOST_MACHINE"
"""The environment variable that says that all this has been done."""

VMAIL = 5000
"""User and group of the mailboxes, as the guides number them."""

_ROOT = Path(__file__).parents[2]
_STORE = Path("/run/machine")

# What a server keeps here is its own: the host's queue, mailboxes and data must not be seen.
_EMPTY = {
    "/var/log": ("root", 0o755),
    "/var/mail": ("root", 0o755),
    "/var/spool/postfix": ("root", 0o755),
    "/var/lib/postfix": ("postfix", 0o755),
    "/var/lib/mysql": ("mysql", 0o755),
    "/var/lib/amavis": ("amavis", 0o750),
}


def inside() -> bool:
    """Whether this process runs on the machine."""
    return INSIDE in os.environ


def furnish() -> None:
    """Make the machine, once, as its first process. Raises RuntimeError on a host that others use."""
    interfaces = [name for _, name in socket.if_nameindex()]
    if os.getpid() != 1 or interfaces != ["lo"]:
        raise RuntimeError("not in namespaces of its own: script/test-pipeline makes them")
    _mounts()
    _network()
    _users()
    os.environ[INSIDE] = "1"


def _do(*command: str) -> None:
    subprocess.run(command, check=True)


def _mounts() -> None:
    _empty(Path("/run"), 0o755)
    _empty(Path("/tmp"), 0o1777)
    for name in ("etc", "var"):
        upper, work = _STORE / name, _STORE / f"{name}.work"
        upper.mkdir(parents=True)
        work.mkdir()
        layers = f"lowerdir=/{name},upperdir={upper},workdir={work}"
        _do("mount", "-t", "overlay", "-o", layers, "overlay", f"/{name}")
    for path, (owner, mode) in _EMPTY.items():
        _do("mount", "-t", "tmpfs", "-o", f"mode={mode:o}", "tmpfs", path)
        shutil.chown(path, owner, owner)


def _empty(path: Path, mode: int) -> None:
    """Make *path* empty, but for this checkout, if it lies below."""
    checkout = os.open(_ROOT, os.O_PATH)
    try:
        _do("mount", "-t", "tmpfs", "-o", f"mode={mode:o}", "tmpfs", str(path))
        if _ROOT.is_relative_to(path):
            _ROOT.mkdir(parents=True)
            hidden = f"/proc/self/fd/{checkout}"
            command = ("mount", "--no-canonicalize", "--bind", hidden, str(_ROOT))
            subprocess.run(command, check=True, pass_fds=(checkout,))
    finally:
        os.close(checkout)


def _network() -> None:
    _do("ip", "link", "set", "lo", "up")
    _do("ip", "address", "add", f"{ADDRESS}/32", "dev", "lo")
    for network in WORLD:
        _do("ip", "route", "add", "local", network, "dev", "lo", "src", ADDRESS)
    socket.sethostname(HOSTNAME)
    rewrite("/etc/hosts", f"127.0.0.1 localhost\n::1 localhost\n{ADDRESS} {HOSTNAME} mail\n")
    rewrite("/etc/resolv.conf", "nameserver 127.0.0.1\n")
    rewrite("/etc/nsswitch.conf", "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n")
    rewrite("/etc/mailname", f"{DOMAIN}\n")


def _users() -> None:
    _do("systemd-sysusers", str(_ROOT / "systemd" / "gatepost.sysusers"))
    _do("systemd-tmpfiles", "--create", str(_ROOT / "systemd" / "gatepost.tmpfiles"))
    home = "/var/mail/vhosts"
    _do("groupadd", "--gid", str(VMAIL), "vmail")
    _do("useradd", "--gid", "vmail", "--uid", str(VMAIL), "--home-dir", home, "--no-create-home", "vmail")
    _do("install", "-d", "-m", "0750", "-o", "vmail", "-g", "vmail", home)


def rewrite(
    path: str | Path, text: str, *, owner: str = "root", group: str = "root", mode: int = 0o644
) -> Path:
    """Write a file of the machine, its directory too; a link that was there leads nowhere any more."""
    file = Path(path)
    file.unlink(missing_ok=True)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch(mode=mode)
    file.write_text(text)
    file.chmod(mode)
    shutil.chown(file, owner, group)
    return file


def run(command: Sequence[str]) -> int:
    """Run *command* as the machine's only job, bury what else ends meanwhile, and return its exit status.

    A job that a signal has ended says nothing itself: that is told here, and its status is as a shell's.
    """
    job = subprocess.Popen(command)
    while True:
        try:
            pid, status = os.wait()
        except KeyboardInterrupt:
            continue  # the terminal has told the job as well
        if pid == job.pid:
            job.returncode = os.waitstatus_to_exitcode(status)
            if job.returncode >= 0:
                return job.returncode
            number = -job.returncode
            sys.stderr.write(f"{' '.join(command)}: ended by {signal.Signals(number).name}\n")
            return 128 + number
