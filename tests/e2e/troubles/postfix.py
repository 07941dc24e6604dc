"""Mistakes between Postfix and a daemon, as Postfix's log and ``gatepost check`` tell of them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tests.e2e.troubles.scene import Scene, gives
from tests.harness.postfix import Postfix, Smtpd
from tests.harness.smtp import STRANGER, Session
from tests.harness.waiting import wait_for

VERIFY = "daemons:\n  dkim-verify:\n    socket: {address: unix:/run/gatepost/verify, mode: '0600'}\n"


def _log(scene: Scene, postfix: Postfix) -> list[str]:
    """What smtpd warns of when a client comes."""
    with Session(postfix.port("mx")) as session:
        session.become(STRANGER)
        wait_for(lambda: "warning: connect to Milter" in postfix.log(), "Postfix's complaint")
    return [re.sub(r"^.*?smtpd\[\d+\]: ", "", line) for line in scene.texts(postfix.log())]


def _smtpd(scene: Scene) -> Smtpd:
    return Smtpd(name="mx", milters=[f"unix:{scene.path('/run/gatepost/verify')}"])


@gives("warning: connect to Milter service unix:/run/gatepost/verify: Permission denied")
def _closed_socket(scene: Scene) -> Sequence[str]:
    scene.configure(VERIFY)
    with scene.running(), Postfix([_smtpd(scene)]) as postfix:
        return _log(scene, postfix)


@gives("warning: connect to Milter service unix:/run/gatepost/verify: No such file or directory")
def _no_socket(scene: Scene) -> Sequence[str]:
    with Postfix([_smtpd(scene)]) as postfix:
        return _log(scene, postfix)


@gives("warning: connect to Milter service inet:127.0.0.1:8891: Connection refused")
def _no_daemon(scene: Scene) -> Sequence[str]:
    with Postfix([Smtpd(name="mx", milters=[f"inet:{scene.host}:8891"])]) as postfix:
        return _log(scene, postfix)


def _checked(scene: Scene, milter: str, chroot: str) -> list[str]:
    """What ``gatepost check`` says of a Postfix with *milter*."""
    directory = scene.path("/etc/postfix/main.cf").parent
    queue = scene.path("/var/spool/postfix/pid").parent
    (directory / "main.cf").write_text(
        f"compatibility_level = 3.6\nqueue_directory = {queue}\nsmtpd_milters = {milter}\n"
    )
    (directory / "master.cf").write_text(f"smtp inet n - {chroot} - - smtpd\n")
    return scene.check("--config-directory", str(directory))


@gives(
    "error: smtp/inet: dkim-verify at unix:/run/gatepost/verify: the user postfix cannot write to"
    ' /run/gatepost/verify; mend: socket: {address: "unix:/run/gatepost/verify", mode: "0660", group: postfix}'
    " (gatepost.yaml)"
)
def _closed_to_postfix(scene: Scene) -> Sequence[str]:
    scene.configure(VERIFY)
    with scene.running():
        return _checked(scene, f"unix:{scene.path('/run/gatepost/verify')}", "n")


@gives(
    "error: smtp/inet: dkim-verify listens on unix:/run/gatepost/verify, but from its chroot or directory Postfix"
    ' sees /var/spool/postfix/run/gatepost/verify; mend: socket: "unix:/var/spool/postfix/gatepost/dkim-verify"'
    " (gatepost.yaml) and unix:gatepost/dkim-verify here"
)
def _outside_the_chroot(scene: Scene) -> Sequence[str]:
    scene.configure(VERIFY)
    return _checked(scene, f"unix:{scene.path('/run/gatepost/verify')}", "y")
