"""``python -m script.packages.trial``: what ``script/test-package`` runs."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from script.packages.debian_package import make_deb
from script.packages.tree import WORK
from script.packages.trial import mail, package, quick_start
from script.packages.trial.checking import expect, status_of, tell
from script.packages.trial.clean_root import CleanRoot, booted
from script.packages.trial.shells import try_completions
from script.packages.trial.wheel import try_wheel

_AROUND = ("man-db", "bash-completion", "zsh", "fish", "procps")
"""What the package is tried with."""


def main() -> int:
    """Try everything; exit status 0 when all was as it should be."""
    return status_of("script/test-package", _try_all)


def _try_all() -> None:
    with tempfile.TemporaryDirectory(prefix="gatepost-") as name:
        first = make_deb(into=Path(name))
        tell(f"made {first.name}")
        if shutil.which("lintian"):
            told = package.complaints(first)
            expect(not told, "lintian has nothing to say", told)
            tell("lintian has nothing to say")
        second = package.next_revision(first, Path(name))
        with booted(["python3", "python3-venv", "postfix", *_AROUND]) as root:
            tell("a clean Debian is up")
            _try(root, first, second)
    tell("all is as it should be")


def _try(root: CleanRoot, first: Path, second: Path) -> None:
    # A minimal Debian leaves out all manuals.
    root.run("rm -f /etc/dpkg/dpkg.cfg.d/docker /etc/dpkg/dpkg.cfg.d/excludes")
    root.run(f"apt-get -qq -y --no-install-recommends install python3 {' '.join(_AROUND)}")
    mail.prepare(root)
    before = package.files(root)
    tell("a mail server without gatepost is up")
    one, two = package.place(root, first), package.place(root, second)
    said = root.run(quick_start.COMMANDS[0][1].format(package=one))
    package.look_at_installed(root, said)
    tell("installed: users, files, modes, manuals; nothing runs")
    quick_start.go_on(root)
    tell(f"the quick start's {len(quick_start.COMMANDS)} commands all succeed")
    try_completions(root)
    tell("bash, zsh and fish complete")
    mail.publish_world(root)
    package.look_at_mail(root)
    tell("a stranger's mail is greylisted, verified and delivered; ours is signed")
    mails, connections = package.upgrade(root, two)
    tell(f"upgraded under {mails} mails: daemons restarted, none of {connections} connections refused")
    package.upgrade_with_a_mistake(root, two)
    tell("upgraded with a mistake in the configuration: the old daemons go on")
    package.remove(root)
    tell("removed: nothing runs, configuration and keys kept")
    package.purge(root, before)
    tell("purged: nothing left but two locked users")
    package.install_again(root, two)
    package.purge(root, before)
    tell("installed again and purged again")
    root.run("apt-get -qq -y --no-install-recommends install python3-venv")
    try_wheel(root, WORK / "wheels")
    tell("the wheel: installed without a compiler, all six daemons run")


if __name__ == "__main__":
    sys.exit(main())
