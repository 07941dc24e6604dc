"""The life of Debian's package on one host: installed, used, upgraded, removed, purged."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from script.packages.tree import run
from script.packages.trial import mail, quick_start
from script.packages.trial.checking import expect
from script.packages.trial.clean_root import CleanRoot

CONFIGURATION = quick_start.CONFIGURATION
_PAGES = ("gatepost", "gatepost.yaml", *(f"gatepost-{name}" for name in (*quick_start.NAMES, "dmarc-stamp")))

# Where a package may leave nothing; what Postfix, apt and the journal write lies elsewhere.
_SEEN = (
    "find / -xdev \\( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /root "
    "-o -path /home -o -path /var/log -o -path /var/cache -o -path /var/spool -o -path /var/mail "
    "-o -path /var/lib/apt -o -path /var/lib/postfix -o -path /var/lib/systemd \\) -prune -o -print | sort"
)

_MODES = {
    "/etc/gatepost": "root:root 755",
    CONFIGURATION: "root:root 644",
    "/etc/gatepost/keys": "root:gatepost-sign 750",
    "/var/lib/gatepost": "gatepost:gatepost 711",
    "/var/lib/gatepost/dkim": "root:gatepost-sign 750",
    "/var/lib/gatepost/seal.key": "root:gatepost 640",
}

# Connects to every socket all the time, and at the end says how often in vain.
_KNOCK = """\
import os, signal, socket, time

going = True
signal.signal(signal.SIGTERM, lambda *_: globals().update(going=False))
places = [("127.0.0.1", port) for port in (8891, 8892, 8893, 10023)] + ["/var/spool/postfix/private/gatepost-spf"]
tried = refused = 0
print(os.getpid(), flush=True)
while going:
    for place in places:
        family = socket.AF_UNIX if isinstance(place, str) else socket.AF_INET
        with socket.socket(family) as client:
            tried += 1
            try:
                client.connect(place)
            except OSError:
                refused += 1
    time.sleep(0.02)
print(tried, refused, flush=True)
"""


def files(root: CleanRoot) -> set[str]:
    """Every file where a package may leave something."""
    return set(root.run(_SEEN).splitlines())


def look_at_installed(root: CleanRoot, said: str) -> None:
    """What is there after "apt install", and what does not run."""
    expect("nothing runs yet" in said, "the package says what comes first", said)
    units = root.run("systemctl list-units --all --no-legend 'gatepost*'")
    expect(not units, "nothing was started", units)
    enabled = root.run("ls /etc/systemd/system /etc/systemd/system/*.wants | grep gatepost || true")
    expect(not enabled, "nothing was enabled", enabled)
    for user in ("gatepost", "gatepost-sign"):
        entry = root.run(f"getent passwd {user}; passwd --status {user}")
        expect("/usr/sbin/nologin" in entry and f"{user} L " in entry, f"{user} cannot log in", entry)
    for path, mode in _MODES.items():
        seen = root.run(f"stat --format='%U:%G %a' {path}").strip()
        expect(seen == mode, f"{path} is {mode}", seen)
    expect(root.run("stat --format=%s /var/lib/gatepost/seal.key").strip() == "32", "the secret is whole")
    told = root.run("gatepost --version")
    expect(re.fullmatch(r"gatepost \d+\.\d+\.\d+\n", told), "it tells its version", told)
    told = root.run("gatepost check 2>&1", status=78)
    expect(f"{CONFIGURATION}:" in told and "gatepost keygen" in told, "check names the missing key", told)
    for page in _PAGES:
        told = root.run(f"man --warnings=all -E UTF-8 {page} 2>&1 >/dev/null; man {page} | head -n 5")
        expect(told.startswith(f"{page}(") and "NAME" in told, f"man renders {page}", told)
    expect(not root.run("command -v gcc cc || true"), "there is no compiler")


def look_at_mail(root: CleanRoot) -> None:
    """A stranger's mail is verified by all, ours is signed."""
    refused = mail.from_the_world(root, "first")
    expect(refused.startswith("450 ") and "Greylisted" in refused, "a stranger is greylisted", refused)
    root.run("gatepost greylist allow example.org")
    refused = mail.from_the_world(root, "second")
    expect(not refused, "who is allowed passes", refused)
    text = mail.delivered(root, "second")
    for result in ("spf=pass", "dkim=pass", "dmarc=pass"):
        expect(result in text, f"the mail bears {result}", text)
    expect("gatepost-seal" not in text, "no seal comes into a mailbox", text)
    mail.from_us(root, "ours")
    text = mail.delivered(root, "ours")
    expect(re.search(r"DKIM-Signature: .*d=example\.nl;", text), "our mail is signed", text)


def next_revision(package: Path, into: Path) -> Path:
    """The same package as its next revision, whose gatepost.yaml is another one."""
    with tempfile.TemporaryDirectory(prefix="gatepost-") as name:
        tree = Path(name) / "tree"
        run("dpkg-deb", "-R", package, tree)
        control = tree / "DEBIAN" / "control"
        control.write_text(re.sub(r"(?m)^(Version: .*-)1$", r"\g<1>2", control.read_text()))
        shipped = tree / CONFIGURATION.lstrip("/")
        shipped.write_text(f"# The next one.\n{shipped.read_text()}")
        target = into / package.name.replace("-1_", "-2_")
        run("dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, target)
    return target


def upgrade(root: CleanRoot, package: str) -> tuple[int, int]:
    """To the next revision, under mail, with a configuration that the administrator has changed.

    Gives how many mails and how many connections there were meanwhile.
    """
    before = _processes(root)
    configuration = root.path(CONFIGURATION).read_text()
    secret = root.path("/var/lib/gatepost/seal.key").read_bytes()
    with _knocking(root) as knocking:
        install = "apt-get -qq -y -o Dpkg::Options::=--force-confold install"
        with root.popen(["bash", "-c", f"{install} {package}"]) as upgrading:
            number = 0
            while upgrading.poll() is None or number < 5:
                number += 1
                mail.from_us(root, f"upgrade{number}")
            told = upgrading.communicate()[0]
    expect(upgrading.returncode == 0, "the upgrade succeeds", told)
    tried, refused = knocking
    expect(tried > 100 and refused == 0, "no connection is refused", f"{refused} of {tried}")
    mail.delivered(root, f"upgrade{number}")
    after = _processes(root)
    expect(not set(before.values()) & set(after.values()), "every daemon was restarted", (before, after))
    expect(
        root.path(CONFIGURATION).read_text() == configuration, "the configuration stays the administrator's"
    )
    expect(root.path(f"{CONFIGURATION}.dpkg-dist").exists(), "the new one lies beside it")
    expect(root.path("/var/lib/gatepost/seal.key").read_bytes() == secret, "the secret stays")
    return number, tried


def upgrade_with_a_mistake(root: CleanRoot, package: str) -> None:
    """A configuration that the new version cannot use leaves the old daemons at work."""
    configuration = root.path(CONFIGURATION).read_text()
    root.path(CONFIGURATION).write_text(f"{configuration}\nno_such_option: 1\n")
    before = _processes(root)
    told = root.run(f"apt-get -qq -y -o Dpkg::Options::=--force-confold --reinstall install {package} 2>&1")
    expect("no_such_option" in told and "still run the old version" in told, "it says why", told)
    expect(_processes(root) == before, "what runs goes on")
    root.path(CONFIGURATION).write_text(configuration)


def _processes(root: CleanRoot) -> dict[str, str]:
    found = {
        name: root.run(f"systemctl show -P MainPID gatepost@{name}").strip() for name in quick_start.NAMES
    }
    expect("0" not in found.values(), "all daemons run", found)
    return found


@contextmanager
def _knocking(root: CleanRoot) -> Iterator[list[int]]:
    """While it lasts, every socket is connected to; afterwards the list holds how often, and how often in vain."""
    counts: list[int] = []
    with root.popen(["python3.11", "-c", _KNOCK]) as process:
        assert process.stdout is not None
        # Its number inside: a signal to nsenter would not reach it.
        number = process.stdout.readline().strip()
        try:
            yield counts
        finally:
            root.run(f"kill {number}")
            counts += map(int, process.stdout.read().split())


def remove(root: CleanRoot) -> None:
    """Stops everything and keeps the administrator's files."""
    root.run("apt-get -qq -y remove gatepost")
    units = root.run("systemctl list-units --no-legend --state=active 'gatepost*'")
    expect(not units, "nothing runs any more", units)
    expect(not root.run("pgrep -u gatepost,gatepost-sign || true"), "no process is left")
    for path in (CONFIGURATION, "/etc/gatepost/keys/example.nl/mail.private", "/var/lib/gatepost/seal.key"):
        expect(root.path(path).exists(), f"{path} is kept")
    expect(not root.path("/usr/lib/gatepost").exists(), "no compiled Python is left")


def purge(root: CleanRoot, before: set[str]) -> None:
    """Leaves nothing but the two users."""
    root.run("apt-get -qq -y purge gatepost")
    left = sorted(files(root) - before)
    expect(not left, "nothing is left", left)
    left = root.run("find /run /var/spool /var/lib/systemd -name '*gatepost*'").split()
    expect(not left, "nothing is left of what ran", left)
    for user in ("gatepost", "gatepost-sign"):
        entry = root.run(f"passwd --status {user}")
        expect(f"{user} L " in entry, f"{user} stays, locked", entry)


def install_again(root: CleanRoot, package: str) -> None:
    """On a host that had it: the users are there, and what the script does can be done twice."""
    root.run(f"apt-get -qq -y --no-install-recommends install {package}")
    secret = root.path("/var/lib/gatepost/seal.key").read_bytes()
    for _ in range(2):
        root.run("/var/lib/dpkg/info/gatepost.postinst configure 0.0.1")
    expect(root.path("/var/lib/gatepost/seal.key").read_bytes() == secret, "the secret stays")
    expect(not root.run("dpkg --verify gatepost"), "all files are as they were shipped")


def place(root: CleanRoot, package: Path) -> str:
    """Lay it down inside; gives where."""
    inside = f"/root/{package.name}"
    shutil.copyfile(package, root.path(inside))
    return inside


def complaints(package: Path) -> str:
    """What lintian says of it, "" for nothing."""
    done = subprocess.run(
        ["lintian", "--allow-root", "--fail-on=error,warning", str(package)],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout if done.returncode else ""
