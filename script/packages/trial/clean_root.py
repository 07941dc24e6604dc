"""A clean Debian in a directory, booted by systemd-nspawn: for trying a package as its users do.

Inside there is no network but loopback. What may be installed was fetched before
and lies in apt's cache, in the archive that the next run begins with.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from script.packages.tree import WORK, PackagingError, run

SUITE = "bookworm"
ESSENTIAL = ("systemd", "systemd-sysv", "dbus")
"""Beside debootstrap's minbase, what a server has that boots."""

_MIRROR = "http://deb.debian.org/debian"
_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LC_ALL": "C.UTF-8",
    "TERM": "dumb",
    "DEBIAN_FRONTEND": "noninteractive",
}


class CommandError(PackagingError):
    """A command inside did not end as expected."""


class CleanRoot:
    """A running system below ``directory``; made by :func:`booted`."""

    def __init__(self, directory: Path, init: int) -> None:
        self.directory = directory
        self._init = init

    def path(self, inside: str) -> Path:
        """Where a file of the system lies for us."""
        return self.directory / inside.lstrip("/")

    def popen(self, command: Sequence[str]) -> subprocess.Popen[str]:
        """Start a program inside; what it prints, on both streams, is the caller's to read."""
        enter = ["nsenter", f"--target={self._init}", "--all", "--"]
        return subprocess.Popen(
            [*enter, *command],
            env=_ENVIRONMENT,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def run(self, script: str, *, status: int = 0) -> str:
        """Run bash's *script* as root and give all it prints. Raises CommandError where it ends with another status."""
        with self.popen(["bash", "-o", "pipefail", "-e", "-c", script]) as process:
            try:
                told, _ = process.communicate()
            except BaseException:
                # A container that ends stops what is in it, and nsenter then stops itself: for ever.
                process.kill()
                raise
        if process.returncode != status:
            raise CommandError(f"status {process.returncode}, not {status}, of: {script}\n{told}")
        return told

    def settled(self, script: str, seconds: float = 20) -> None:
        """Wait until *script* succeeds. Raises CommandError with what it last said."""
        end = time.monotonic() + seconds
        while True:
            try:
                self.run(script)
            except CommandError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)
            else:
                return


@contextmanager
def booted(packages: Sequence[str]) -> Iterator[CleanRoot]:
    """A clean system in which apt can install *packages*. Nothing of it is left afterwards."""
    with unpacked("packages", packages) as directory, boot(directory) as root:
        yield root


@contextmanager
def unpacked(name: str, packages: Sequence[str]) -> Iterator[Path]:
    """The directory of such a system that does not run; *name* is its user's, who has one archive."""
    archive = _archive(name, packages)
    with tempfile.TemporaryDirectory(prefix="gatepost-root-") as place:
        directory = Path(place)
        run("tar", "-xf", archive, "-C", directory)
        directory.chmod(0o755)  # it is / to everyone inside
        yield directory


@contextmanager
def boot(directory: Path, *, copy: bool = False) -> Iterator[CleanRoot]:
    """The system in *directory*, running. With *copy* what it writes is kept in memory, and is gone afterwards."""
    nspawn = ["systemd-nspawn", "--quiet", "--boot", f"--directory={directory}", "--private-network"]
    apart = ["--register=no", "--keep-unit", "--link-journal=no", "--resolv-conf=off", "--timezone=off"]
    machine = [f"--machine=gatepost-{os.getpid()}", "--console=pipe"]
    with subprocess.Popen(
        [*nspawn, *apart, *machine, *(["--volatile=overlay"] if copy else [])],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as container:
        try:
            init = _init_of(container)
            root = CleanRoot(Path(f"/proc/{init}/root") if copy else directory, init)
            root.settled("systemctl is-active multi-user.target", 60)
            yield root
        finally:
            _end(container)


def _init_of(container: subprocess.Popen[bytes]) -> int:
    """The process that is number 1 inside."""
    end = time.monotonic() + 20
    while time.monotonic() < end and container.poll() is None:
        children = Path(f"/proc/{container.pid}/task/{container.pid}/children").read_text().split()
        for child in children:
            status = Path(f"/proc/{child}/status").read_text().splitlines()
            # Its number is 1 before its root is that of the system; its name comes with that.
            if "Name:\tsystemd" in status and any(re.fullmatch(r"NSpid:.*\t1", line) for line in status):
                return int(child)
        time.sleep(0.05)
    raise PackagingError("systemd-nspawn does not boot here")


def _end(container: subprocess.Popen[bytes]) -> None:
    # nspawn hands it on, and takes everything away with the last process inside.
    container.terminate()
    try:
        container.wait(30)
    except subprocess.TimeoutExpired:
        container.kill()


def _archive(name: str, packages: Sequence[str]) -> Path:
    """The system before its first boot, made when it is not there yet."""
    key = hashlib.sha256(" ".join([SUITE, *ESSENTIAL, *packages]).encode()).hexdigest()[:12]
    archive = WORK / f"{SUITE}-{name}-{key}.tar"
    if archive.exists():
        return archive
    WORK.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="gatepost-root-") as place:
        root = Path(place)
        run("debootstrap", "--variant=minbase", f"--include={','.join(ESSENTIAL)}", SUITE, root, _mirror())
        fetch = ["apt-get", "-qq", "-y", "--no-install-recommends", "--download-only", "install", *packages]
        # Without APT::Keep…, a later "apt-get install" of the first would throw the others away.
        (root / "etc/apt/apt.conf.d/99keep").write_text('APT::Keep-Downloaded-Packages "true";\n')
        run("chroot", root, "apt-get", "-qq", "update")
        run("chroot", root, *fetch)
        (root / "etc/hostname").write_text("mail.example.nl\n")
        (root / "etc/hosts").write_text(
            "127.0.0.1 localhost\n127.0.1.1 mail.example.nl mail\n::1 localhost\n"
        )
        (root / "etc/resolv.conf").write_text("nameserver 127.0.0.1\n")
        unfinished = archive.with_suffix(".new")
        run("tar", "-cf", unfinished, "-C", root, ".")
        unfinished.rename(archive)
    for old in WORK.glob(f"{SUITE}-{name}-*.tar"):
        if old != archive:
            old.unlink()
    return archive


def _mirror() -> str:
    """Where this host's own apt gets Debian from."""
    if shutil.which("apt-get") is None:
        return _MIRROR
    form = ["--format", "$(LABEL) $(SITE)", "Created-By: Packages"]
    for line in run("apt-get", "indextargets", *form).splitlines():
        label, _, site = line.partition(" ")
        if label == "Debian":
            return site
    return _MIRROR
